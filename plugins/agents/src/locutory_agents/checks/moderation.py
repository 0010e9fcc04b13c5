"""OpenAI's moderation of the text of users (chat-stream §14)."""

import asyncio
from collections.abc import Sequence

import httpx2
from structlog.stdlib import BoundLogger

from locutory_agents.config import AgentsConfig
from locutory_http import Outgoing

SECONDS = 15.0
LARGEST = 1024 * 1024
"""The maximum bytes of a response."""

FLAGGED = '{"type":"moderation"}'
FAILED = "error in moderation check"


class Moderation:
    """Asks the moderation service, when it is switched on."""

    def __init__(self, config: AgentsConfig, outgoing: Outgoing, log: BoundLogger) -> None:
        self._config = config
        self._outgoing = outgoing
        self._log = log
        self._client: httpx2.AsyncClient | None = None

    async def refusal(self, texts: Sequence[str]) -> str | None:
        """The text of the refusal, ``None`` when all is well; text that could not be checked is
        refused too."""
        if not self._config.moderation or not texts:
            return None
        if self._client is None:
            self._client = self._outgoing.client(SECONDS, most=LARGEST)
        try:
            async with asyncio.timeout(SECONDS):  # for the whole; the client's is for each step
                answer = await self._client.post(
                    self._config.moderation_url,
                    json={"input": texts[0] if len(texts) == 1 else list(texts)},
                    headers={"authorization": f"Bearer {self._config.moderation_key}"},
                )
            answer.raise_for_status()
            flagged = any(result["flagged"] for result in answer.json()["results"])
        except (httpx2.HTTPError, TimeoutError, ValueError, KeyError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}"
            self._log.error("chat.moderation_failed", reason=reason)
            return FAILED
        return FLAGGED if flagged else None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None
