"""A local Ollama, offered by itself when one answers."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
import orjson
import structlog

from locutory import Principal
from locutory_contracts.models import ChatModel
from locutory_endpoints.providers.deps import ProviderDeps, secrets_of
from locutory_endpoints.wire.body import Dialect, request_base
from locutory_endpoints.wire.lists import LARGEST, start
from locutory_endpoints.wire.model import CompletionsModel, ModelConnection

NAME = "ollama"
PROBE_SECONDS = 1.0
PROBE_INTERVAL_SECONDS = 60.0

log = structlog.get_logger("locutory.endpoints")


class OllamaProvider:
    """`locutory_contracts.models.Provider` of the endpoint ``ollama``.

    Probes the server in the background, after the start and then at most once a minute
    when somebody asks for models; nobody ever waits for it. Silent when the operator
    configured an endpoint named ollama, or switched this off.
    """

    def __init__(self, deps: ProviderDeps) -> None:
        self._deps = deps
        self._names: tuple[str, ...] = ()
        self._probed_at: float | None = None
        self._probing: asyncio.Task[None] | None = None
        self._entries: Mapping[str, Mapping[str, Any]] = {}
        self._models: Mapping[str, Sequence[str]] = {}

    @property
    def _wanted(self) -> bool:
        deployment = self._deps.deployment
        return deployment.config.ollama and NAME not in deployment.custom

    def probe(self) -> None:
        """Probe the server in the background, unless that happened a moment ago."""
        if not self._wanted:
            self._set_models(())
            return
        young = (
            self._probed_at is not None
            and time.monotonic() - self._probed_at < PROBE_INTERVAL_SECONDS
        )
        if young or self._probing is not None:
            return
        self._probed_at = time.monotonic()
        self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        url = self._deps.deployment.config.ollama_url.rstrip("/")
        try:
            client = self._deps.connections.configured(url, direct=True)
            headers = {"accept-encoding": "identity"}
            async with (
                asyncio.timeout(PROBE_SECONDS),
                client.stream("GET", f"{url}/api/tags", headers=headers) as answer,
            ):
                body = await start(answer, LARGEST)
            models = orjson.loads(body)["models"] if answer.status_code == 200 else []
            names = tuple(str(model["name"]) for model in models)
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, KeyError, TypeError, TimeoutError):
            names = ()
        finally:
            self._probing = None
        if bool(names) != bool(self._names):
            log.info("models.ollama", found=bool(names), models=len(names))
        self._set_models(names)

    def _set_models(self, names: tuple[str, ...]) -> None:
        if names == self._names:
            return
        self._names = names
        entry = {"type": "custom", "userProvide": False, "userProvideURL": False}
        self._entries = {NAME: {**entry, "modelDisplayLabel": "Ollama"}} if names else {}
        self._models = {NAME: list(names)} if names else {}

    async def close(self) -> None:
        """Give up probing."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)

    async def entries(self, principal: Principal | None) -> Mapping[str, Mapping[str, Any]]:
        """The endpoint, if the server answered the last probe."""
        self.probe()
        return self._entries

    async def models(self, principal: Principal | None) -> Mapping[str, Sequence[str]]:
        """The models it had then."""
        self.probe()
        return self._models

    async def open(
        self, endpoint: str, model: str, settings: Mapping[str, Any], principal: Principal
    ) -> ChatModel:
        """A connection to a local model."""
        url = self._deps.deployment.config.ollama_url.rstrip("/")
        dialect = Dialect(usage=self._deps.deployment.config.ask_usage)
        return CompletionsModel(
            ModelConnection(
                client=self._deps.connections.configured(url, direct=True),
                url=f"{url}/v1/chat/completions",
                headers={"Authorization": "Bearer ollama"},
                base=request_base(model, settings, principal.id, dialect),
                dialect=dialect,
                principal=principal,
                retries=self._deps.retries(),
                strict=self._deps.deployment.config.need_finish_reason,
                secrets=secrets_of(url, "", {}),
            )
        )

    def describe(self, endpoint: str) -> Mapping[str, Any]:
        """An empty mapping: the endpoint has no configuration."""
        return {}
