"""State that the workers of a server share through Redis."""

from locutory_redis.broadcast import RedisBroadcast
from locutory_redis.cache import RedisCache
from locutory_redis.server import RedisServer, address_fault

__all__ = ["RedisBroadcast", "RedisCache", "RedisServer", "address_fault"]
