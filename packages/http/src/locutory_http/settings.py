"""The environment variables of outgoing connections, which the kernel's settings inherit."""

from functools import cached_property
from typing import Any

from pydantic import BaseModel, Field, field_validator

from locutory_http.outgoing import Outgoing
from locutory_http.proxies import Proxies, parse_proxy
from locutory_http.trust import Trust


def _variable(name: str, description: str, *spellings: str, **extra: Any) -> Any:
    found: dict[str, Any] = {"env": name}
    if spellings:
        found["spellings"] = list(spellings)
    return Field(default="", description=description, json_schema_extra=found, **extra)


class OutgoingSettings(BaseModel):
    """Settings of outgoing connections. Of several spellings of a variable the first that is set
    counts. Proxies are left out of the representation, since they may contain passwords."""

    proxy: str = _variable(
        "PROXY",
        "Proxy for http and https addresses, as http://proxy.example:3128; also https://, "
        "socks5:// or nothing before it",
        "PROXY",
        "proxy",
        repr=False,
    )
    http_proxy: str = _variable(
        "HTTP_PROXY",
        "Without PROXY: proxy for http addresses",
        "http_proxy",
        "HTTP_PROXY",
        repr=False,
    )
    https_proxy: str = _variable(
        "HTTPS_PROXY",
        "Without PROXY: proxy for https addresses; unset: as HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        repr=False,
    )
    no_proxy: str = _variable(
        "NO_PROXY",
        "What is reached without a proxy: hosts and what is below them, addresses, networks, "
        "hosts with a port; * for everything",
        "no_proxy",
        "NO_PROXY",
    )
    node_extra_ca_certs: str = _variable(
        "NODE_EXTRA_CA_CERTS", "File of authorities to trust beside the usual ones"
    )
    ssl_cert_file: str = _variable(
        "SSL_CERT_FILE", "File of authorities to trust in place of the system's"
    )
    ssl_cert_dir: str = _variable(
        "SSL_CERT_DIR", "Hashed folder of authorities to trust in place of the system's"
    )

    @field_validator("proxy", "http_proxy", "https_proxy")
    @classmethod
    def _check_proxy(cls, text: str) -> str:
        if text:
            parse_proxy(text)
        return text

    @cached_property
    def outgoing(self) -> Outgoing:
        """The factory of clients with these settings."""
        http, https = self.proxy or self.http_proxy, self.proxy or self.https_proxy
        proxies = Proxies(
            parse_proxy(http) if http else None,
            parse_proxy(https) if https else None,
            self.no_proxy,
        )
        file, folder = self.ssl_cert_file.strip(), self.ssl_cert_dir.strip()
        return Outgoing(proxies, Trust(file, folder, self.node_extra_ca_certs.strip()))
