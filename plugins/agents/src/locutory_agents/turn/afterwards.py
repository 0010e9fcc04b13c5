"""What happens once a turn has ended: nobody waits for it."""

from locutory_agents.turn.workshop import Workshop
from locutory_contracts.chat import TURN_OBSERVERS, Turn, TurnFinished, TurnOutcome

OBSERVER_SECONDS = 30.0


async def publish(workshop: Workshop, turn: Turn, outcome: TurnOutcome) -> None:
    """Tell observers and subscribers; their faults are logged."""
    gathered = await workshop.services.gather(
        TURN_OBSERVERS, lambda observer: observer.finished(turn, outcome), timeout=OBSERVER_SECONDS
    )
    for name, error in gathered.failures.items():
        workshop.log.warning("chat.observer_failed", observer=name, exc_info=error)
    await workshop.events.tell(TurnFinished(turn, outcome))
