"""Endpoints and models of this server that are available to an importing user."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from locutory import Principal, Services
from locutory_contracts.models import CATALOGUE

_FALLBACKS = {"anthropic": "claude-3-5-sonnet-latest"}
_FALLBACK = "gpt-4o-mini"


@dataclass(frozen=True, slots=True)
class AvailableModels:
    """A snapshot; empty when nothing offers models."""

    endpoints: Sequence[str] = ()
    models: Mapping[str, Sequence[str]] | None = None

    def endpoint(self, wanted: Any) -> str:
        """``wanted`` when it is offered, else the first one that is."""
        if isinstance(wanted, str) and (wanted in self.endpoints or not self.endpoints):
            return wanted
        return next(iter(self.endpoints), "openAI")

    def model(self, endpoint: str) -> str:
        """The first model of an endpoint."""
        models = (self.models or {}).get(endpoint, ())
        found = next((model for model in models if isinstance(model, str) and model), None)
        return found or _FALLBACKS.get(endpoint, _FALLBACK)

    def known(self, endpoint: str, wanted: Iterable[Any]) -> str:
        """The first of ``wanted`` that the endpoint offers, so that the chat can go on with it;
        else the endpoint's first model."""
        models = (self.models or {}).get(endpoint, ())
        return next((model for model in wanted if model in models), None) or self.model(endpoint)


async def available_to(services: Services, principal: Principal) -> AvailableModels:
    """Endpoints and models that the catalogue offers to a caller."""
    catalogue = services.find(CATALOGUE)
    if catalogue is None:
        return AvailableModels()
    entries = await catalogue.entries(principal)
    return AvailableModels(tuple(entries), await catalogue.models(principal))
