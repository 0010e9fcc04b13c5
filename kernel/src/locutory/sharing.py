"""The Redis connection that lets several workers share caches, limits and streams."""

import re
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


def redis_problems(config: KernelConfig) -> list[Problem]:
    """What is wrong with the address of Redis when ``USE_REDIS`` is on; it is not repeated,
    since it may hold a password."""
    if not config.use_redis:
        return []
    fix = "set REDIS_URI=redis://host:6379"
    if not config.redis_uri:
        return [Problem("USE_REDIS", "is on, but REDIS_URI is not set", fix)]
    several = re.search(r",\s*\w+://", config.redis_uri)
    hosts = config.redis_uri.partition("?")[0].rpartition("@")[2]
    if config.redis_cluster or several or "," in hosts:
        text = "a cluster of Redis servers is not supported"
        fix = "give the address of one server (USE_REDIS_CLUSTER off, no list of addresses)"
        return [Problem("REDIS_URI", text, fix)]
    from redis.asyncio.connection import parse_url

    try:
        parse_url(config.redis_uri)
    except ValueError:
        return [Problem("REDIS_URI", "is no address of a Redis server", fix)]
    return []


def connect_redis(config: KernelConfig) -> "Redis | None":
    """A client (not connected yet) when ``USE_REDIS`` is on."""
    if not config.use_redis:
        return None
    if problems := redis_problems(config):
        raise StartupError(problems)
    from redis.asyncio import Redis

    extra: dict[str, Any] = {
        key: value
        for key, value in (
            ("username", config.redis_username),
            ("password", config.redis_password),
        )
        if value
    }
    client: Redis = Redis.from_url(str(config.redis_uri), **extra)
    return client


async def check_redis(redis: "Redis | None") -> None:
    """`StartupError` when Redis is used and does not answer."""
    if redis is None:
        return
    try:
        await redis.ping()
    except redis_unreachable() as error:
        text, fix = f"Redis does not answer: {error}", "start it, or set USE_REDIS=false"
        raise StartupError(Problem("REDIS_URI", text, fix)) from error


def redis_unreachable() -> tuple[type[Exception], ...]:
    """Exceptions that mean that Redis does not answer."""
    from redis import exceptions

    return (exceptions.ConnectionError, exceptions.TimeoutError)
