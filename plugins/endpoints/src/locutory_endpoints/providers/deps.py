"""The common dependencies of the providers: connections, model lists, users' keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2

from locutory import ConfigRef
from locutory_contracts.models import ModelRefused
from locutory_endpoints.deployment import Deployment
from locutory_endpoints.keystore import KeyStore
from locutory_endpoints.wire.connections import Connections
from locutory_endpoints.wire.lists import ModelLists
from locutory_endpoints.wire.model import CompletionsModel, ModelConnection, Retries
from locutory_endpoints.wire.redirects import RedirectClient, same_host
from locutory_http import AddressRefused, Guard

OPENAI_BASE = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True)
class ProviderDeps:
    """Dependencies of the providers: configuration, connections, lists, keys."""

    config_ref: ConfigRef[Deployment]
    connections: Connections
    lists: ModelLists
    keys: KeyStore

    @property
    def deployment(self) -> Deployment:
        """The configuration in force."""
        return self.config_ref.current

    def retries(self) -> Retries:
        """The settings for retrying failed calls."""
        config = self.deployment.config
        return Retries(config.retries, config.retry_seconds)

    def configured(self, url: str) -> httpx2.AsyncClient:
        """The client for an operator's address."""
        return self.connections.configured(url)

    def guarded(self) -> httpx2.AsyncClient:
        """The client for an address that a user gave."""
        return self.connections.guarded(self.deployment.allowed_addresses)

    def connect(
        self, url: str, *, guarded: bool, headers: Mapping[str, str], **more: Any
    ) -> CompletionsModel:
        """A model at an address; ``guarded``: a user gave it. ``more``: members of
        `ModelConnection`."""
        return CompletionsModel(
            ModelConnection(
                client=self.guarded() if guarded else self.configured(url),
                url=url,
                headers=headers,
                retries=self.retries(),
                redirect_client=self.redirect_client(url, guarded=guarded),
                strict=self.deployment.config.need_finish_reason,
                **more,
            )
        )

    def redirect_client(self, url: str, *, guarded: bool) -> RedirectClient:
        """Clients for redirects of a server: the operator's own only to the server that the
        operator named; everywhere else addresses are checked as those that users gave."""

        async def client(target: str) -> httpx2.AsyncClient:
            if guarded:
                return self.guarded()
            if same_host(url, target):
                return self.configured(target)
            return await self.connections.redirected(target, self.deployment.allowed_addresses)

        return client

    async def refuse_private(self, url: str) -> None:
        """`ModelRefused` ``invalid_base_url`` for an address that users may not reach."""
        try:
            await Guard(self.deployment.allowed_addresses).check(url)
        except AddressRefused:
            raise ModelRefused('{"type":"invalid_base_url"}') from None


def bearer(headers: Mapping[str, str], key: str) -> dict[str, str]:
    """Headers with the key, if there is one, unless an ``Authorization`` was configured."""
    if not key or any(name.lower() == "authorization" for name in headers):
        return dict(headers)
    return {"Authorization": f"Bearer {key}", **headers}


def secrets_of(url: str, key: str, headers: Mapping[str, str]) -> tuple[str, ...]:
    """Texts to keep out of failures: the key, header values, the address and its host.
    Short ones (the key ``ollama``, a header ``true``) are words, not secrets."""
    found = {url, urlsplit(url).netloc, key, *headers.values()}
    return tuple(sorted((item for item in found if len(item) >= 8), key=len, reverse=True))
