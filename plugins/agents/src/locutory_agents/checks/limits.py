"""Message limits: refusals in the form of an event stream (kernel §11, chat-stream §2)."""

from locutory import Events, Limit, LimitExceeded, RateLimits, Request, by_ip, by_user
from locutory_agents.config import AgentsConfig

VIOLATION = "message_limit"


class MessageLimits:
    """Messages per address and per user, where they are switched on."""

    def __init__(self, config: AgentsConfig, limits: RateLimits, events: Events) -> None:
        self._limits = limits
        self._events = events
        self._score = config.message_violation_score
        self._rules: list[Limit] = []
        if config.limit_message_ip:
            window = config.message_ip_window
            self._rules.append(self._rule("ip", config.message_ip_max, window))
        if config.limit_message_user:
            window = config.message_user_window
            self._rules.append(self._rule("user", config.message_user_max, window))

    def _rule(self, kind: str, amount: int, minutes: float) -> Limit:
        shown = int(minutes) if minutes == int(minutes) else minutes
        body = {"type": VIOLATION, "max": amount, "limiter": kind, "windowInMinutes": shown}
        key = by_ip if kind == "ip" else by_user
        name = f"message_{kind}_limiter"
        return Limit(name, amount, max(1, int(minutes * 60)), body, key, VIOLATION, self._score)

    async def check(self, request: Request, headers: dict[str, str]) -> Limit | None:
        """Count the request. Return the limit that it exceeds; the headers of all responses to the
        request are added to ``headers``."""
        for rule in self._rules:
            key = rule.key(request)
            if key is None:
                continue
            verdict = await self._limits.check(rule, key)
            headers.update(verdict.headers)
            if not verdict.allowed:
                fact = LimitExceeded(
                    rule.name, rule.violation, rule.score, request.caller.id, request.ip
                )
                await self._events.publish(fact)
                return rule
        return None
