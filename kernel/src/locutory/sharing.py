"""The Redis connection that lets several workers share caches, limits and streams."""

from typing import TYPE_CHECKING, Any

from locutory.errors import Problem, StartupError
from locutory.settings import Environment, KernelConfig

if TYPE_CHECKING:
    from redis.asyncio import Redis


def key_prefix(config: KernelConfig, environment: Environment) -> str:
    """The prefix of every Redis key (contract kernel §16.8)."""
    if config.redis_key_prefix and config.redis_key_prefix_var:
        raise StartupError(
            Problem(
                "REDIS_KEY_PREFIX",
                "set together with REDIS_KEY_PREFIX_VAR",
                "keep one of the two",
            )
        )
    return config.redis_key_prefix or environment.get(config.redis_key_prefix_var, "")


def connect_redis(config: KernelConfig) -> "Redis | None":
    """A client (not connected yet) when ``USE_REDIS`` is on."""
    if not config.use_redis:
        return None
    if not config.redis_uri:
        raise StartupError(
            Problem(
                "USE_REDIS",
                "is on, but REDIS_URI is not set",
                "set REDIS_URI=redis://host:6379",
            )
        )
    from redis.asyncio import Redis

    extra: dict[str, Any] = {
        key: value
        for key, value in (
            ("username", config.redis_username),
            ("password", config.redis_password),
        )
        if value
    }
    client: Redis = Redis.from_url(config.redis_uri, **extra)
    return client


def redis_unreachable() -> tuple[type[Exception], ...]:
    """Exceptions that mean that Redis does not answer."""
    from redis import exceptions

    return (exceptions.ConnectionError, exceptions.TimeoutError)
