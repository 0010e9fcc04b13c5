"""The member ``rum`` of the start-up configuration: telemetry from the browser."""

from typing import Any
from urllib.parse import SplitResult, urlsplit

from locutory_webclient.config import WebClientConfig

_LOCAL = ("localhost", "127.0.0.1", "::1")


class TelemetryRefused(Exception):
    """Telemetry is asked for, but its settings are wrong; it stays off. Carries the reason."""


def _address(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  (raises when it is not a number)
    except ValueError:
        return None
    return parts if parts.hostname else None


def telemetry(config: WebClientConfig) -> dict[str, Any] | None:
    """The member, ``None`` when it is off; raises `TelemetryRefused`.

    ``RUM_AUTH_MODE=proxy`` is refused: no route of this server relays telemetry.
    """
    if not config.rum_enabled:
        return None
    if config.rum_provider != "hyperdx":
        raise TelemetryRefused("RUM_PROVIDER must be 'hyperdx'")
    if config.rum_auth_mode != "publicToken":
        raise TelemetryRefused("RUM_AUTH_MODE must be 'publicToken'")
    address = _address(config.rum_url or "")
    if address is None or address.username or address.password:
        raise TelemetryRefused("RUM_URL must be an address without user and password")
    local = address.scheme == "http" and address.hostname in _LOCAL
    if address.scheme != "https" and not local:
        raise TelemetryRefused("RUM_URL must begin with https://, or name this machine")
    if not config.rum_public_token:
        raise TelemetryRefused("RUM_PUBLIC_TOKEN is not set")
    member: dict[str, Any] = {
        "provider": "hyperdx",
        "enabled": True,
        "url": address.geturl().removesuffix("/"),
        "serviceName": config.rum_service_name,
        "authMode": "publicToken",
        "publicToken": config.rum_public_token,
    }
    targets = [target for target in config.rum_trace_targets if _is_safe_target(target)]
    if targets:
        member["tracePropagationTargets"] = targets
    member["consoleCapture"] = config.rum_console_capture
    member["disableReplay"] = config.rum_disable_replay
    member["advancedNetworkCapture"] = config.rum_network_capture
    rate = _rate(config.rum_sample_rate)
    if rate is not None:
        member["sampleRate"] = rate
    if config.rum_environment:
        member["environment"] = config.rum_environment
    return member


def _is_safe_target(target: str) -> bool:
    address = _address(target)
    return "*" not in target and address is not None and address.scheme == "https"


def _rate(text: str | None) -> float | int | None:
    try:
        rate = float(text or "")
    except ValueError:
        return None
    if not 0 <= rate <= 1:
        return None
    return int(rate) if rate.is_integer() else rate
