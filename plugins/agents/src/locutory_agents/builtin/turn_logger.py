"""One log line a turn."""

from structlog.stdlib import BoundLogger

from locutory_contracts.chat import Turn, TurnOutcome


class TurnLogger:
    """`TurnObserver` that logs the cost of a turn, and never its text."""

    def __init__(self, log: BoundLogger) -> None:
        self._log = log

    async def finished(self, turn: Turn, outcome: TurnOutcome) -> None:
        """`TurnObserver.finished`."""
        self._log.info(
            "chat.turn",
            status=outcome.status,
            endpoint=turn.endpoint,
            model=turn.model,
            conversation=turn.conversation_id,
            user=turn.principal.id,
            seconds=round(outcome.seconds, 3),
            calls=len(outcome.usage),
            input_tokens=sum(used.input_tokens for used in outcome.usage),
            output_tokens=sum(used.output_tokens for used in outcome.usage),
        )
