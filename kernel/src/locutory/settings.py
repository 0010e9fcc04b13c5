"""The kernel's own settings."""

import ipaddress
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, field_validator, model_validator

from locutory_configfile import env
from locutory_http import OutgoingSettings

_PORT = 3080


class KernelConfig(OutgoingSettings):
    """Settings of the kernel itself (contract kernel §16.1, §16.2, §16.7, §16.8)."""

    model_config = ConfigDict(extra="forbid")

    host: str = env("HOST", "localhost", "Address to listen on")
    port: int = env("PORT", _PORT, "Port to listen on; 0 takes a free one", ge=0, le=65535)
    data_dir: Path | None = env(
        "LOCUTORY_DATA_DIR", None, "Folder of the built-in database, secrets and logs"
    )
    domain_client: str = env(
        "DOMAIN_CLIENT",
        "http://localhost:3080",
        "Public address of the web client; may have a path",
    )
    domain_server: str = env(
        "DOMAIN_SERVER", "http://localhost:3080", "Public address of the server"
    )
    node_env: str = env(
        "NODE_ENV",
        "production",
        "Anything but 'production' lets browsers keep no file of the web client",
    )
    mongo_uri: str | None = env("MONGO_URI", None, "Database to use; blank opens the built-in one")
    mongo_max_pool_size: int | None = env("MONGO_MAX_POOL_SIZE", None, "Connections at most")
    mongo_min_pool_size: int | None = env("MONGO_MIN_POOL_SIZE", None, "Connections kept open")
    mongo_max_connecting: int | None = env("MONGO_MAX_CONNECTING", None, "Connections made at once")
    mongo_max_idle_time_ms: int | None = env(
        "MONGO_MAX_IDLE_TIME_MS", None, "Idle connection life, ms"
    )
    mongo_wait_queue_timeout_ms: int | None = env(
        "MONGO_WAIT_QUEUE_TIMEOUT_MS", None, "Wait for a free connection at most, ms"
    )
    http_request_timeout_ms: int = env(
        "HTTP_REQUEST_TIMEOUT_MS", 300_000, "Time in which a JSON or form body must arrive, ms"
    )
    http_headers_timeout_ms: int = env(
        "HTTP_HEADERS_TIMEOUT_MS", 60_000, "Time in which the head of a request must arrive, ms"
    )
    http_keep_alive_timeout_ms: int = env(
        "HTTP_KEEP_ALIVE_TIMEOUT_MS", 5_000, "How long an idle connection is kept, ms"
    )
    http_keep_alive_timeout_buffer_ms: int = env(
        "HTTP_KEEP_ALIVE_TIMEOUT_BUFFER_MS", 1_000, "Added to the keep-alive timeout, ms"
    )
    mongo_auto_index: bool = env("MONGO_AUTO_INDEX", True, "Create missing indexes at start")
    no_index: str = env(
        "NO_INDEX",
        "true",
        "Ask search engines to stay away (exactly 'true')",
        words=("true", "false"),
    )
    trust_proxy: str = env(
        "TRUST_PROXY",
        "1",
        "Reverse proxies in front; the client is that many entries from the right. What is no "
        "number counts as 1",
    )
    trusted_proxies: list[str] = env(
        "LOCUTORY_TRUSTED_PROXIES",
        lambda: ["127.0.0.0/8", "::1/128"],
        "Networks whose X-Forwarded-For is believed; name that of a proxy on another machine or "
        "in another container",
    )
    metrics_secret: str | None = env(
        "METRICS_SECRET", None, "Bearer token of /metrics; unset: closed"
    )
    disable_compression: bool = env("DISABLE_COMPRESSION", False, "Send bodies uncompressed")
    use_redis: bool = env("USE_REDIS", False, "Share caches, limits and streams through Redis")
    redis_uri: str | None = env("REDIS_URI", None, "redis:// or rediss:// address")
    redis_cluster: bool = env(
        "USE_REDIS_CLUSTER", False, "Not supported: REDIS_URI is the address of one server"
    )
    redis_username: str | None = env("REDIS_USERNAME", None, "Redis user, when not in the address")
    redis_password: str | None = env(
        "REDIS_PASSWORD", None, "Redis password, when not in the address"
    )
    redis_key_prefix: str = env("REDIS_KEY_PREFIX", "", "Prefix of every Redis key")
    redis_key_prefix_var: str = env(
        "REDIS_KEY_PREFIX_VAR", "", "Name of the variable that holds the prefix"
    )
    console_json: bool = env("CONSOLE_JSON", False, "Log as JSON lines")
    debug_logging: bool = env("DEBUG_CONSOLE", False, "Log debug messages")
    bypass_validation: str = env(
        "CONFIG_BYPASS_VALIDATION",
        "",
        "Exactly 'true': start with an empty configuration when the file is invalid or unreadable",
        words=("true", "false"),
    )
    shutdown_seconds: float = env(
        "LOCUTORY_SHUTDOWN_SECONDS", 60.0, "Hard end of a graceful shutdown"
    )
    max_body_bytes: int = env(
        "LOCUTORY_MAX_BODY_BYTES", 3 * 1024 * 1024, "Largest JSON or form body"
    )
    trust_tenant_header: bool = env(
        "TRUST_TENANT_HEADER",
        False,
        "The proxy says in X-Tenant-Id which tenant whoever is not signed in yet belongs to; it "
        "must remove that header from what clients send",
    )
    tenant_isolation_strict: bool = env(
        "TENANT_ISOLATION_STRICT", False, "Refuse accounts without a tenant"
    )

    @property
    def drain_seconds(self) -> float:
        """The part of ``shutdown_seconds`` for running work; the rest, at most 5 seconds, is for
        closing."""
        return self.shutdown_seconds - min(5.0, self.shutdown_seconds / 2)

    @property
    def proxy_hops(self) -> int:
        """``TRUST_PROXY`` as a number; 0 and words such as 'true' count as 1."""
        try:
            return int(float(self.trust_proxy)) or 1
        except (ValueError, OverflowError):
            return 1

    @property
    def is_https(self) -> bool:
        """``True`` when one of the public addresses uses https. An address without a scheme counts
        as https, unless it is this machine."""
        return any(map(_is_https, (self.domain_server, self.domain_client)))

    @model_validator(mode="after")
    def _own_port(self) -> Self:
        """Use the configured port in public addresses that are not set, so that links lead to this
        server."""
        if self.port not in (0, _PORT):
            for name in {"domain_client", "domain_server"} - self.model_fields_set:
                object.__setattr__(self, name, f"http://localhost:{self.port}")
        return self

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, networks: list[str]) -> list[str]:
        for network in networks:
            ipaddress.ip_network(network, strict=False)
        return networks


def _is_https(address: str) -> bool:
    if "://" in address:
        return address.lower().startswith("https://")
    try:
        host = (urlsplit(f"//{address}").hostname or "").lower()
    except ValueError:
        return False
    return host not in ("", "localhost", "127.0.0.1", "::1") and not host.endswith(".localhost")
