"""Password hashes: bcrypt as LibreChat writes it, and Argon2id.

Hashing takes tens of milliseconds of a processor and, for Argon2id, 19 MiB, so it runs in
a small pool of threads: however many people sign in at once, memory stays bounded and the
event loop stays free.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from locutory import HTTPError, check_caller_waits

T = TypeVar("T")

LONGEST_QUEUE = 200
"""Passwords that are being checked or wait for it; who comes then is asked to come again."""

_BUSY = {"message": "Too many people are signing in. Please try again in a moment."}

BCRYPT_COST = 10
BCRYPT_BYTES = 72
"""bcrypt sees no more of a password (contract auth §9)."""

ARGON2 = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""OWASP's profile: 19 MiB, two passes, one lane."""

# Well-formed hashes of no known password: checking one costs what a real check costs.
_NOBODY_BCRYPT = f"$2b${BCRYPT_COST:02}$" + "." * 53
_NOBODY_ARGON2 = f"$argon2id$v=19$m={19 * 1024},t=2,p=1${'A' * 22}${'A' * 43}"


class Passwords:
    """Hashes and verifies passwords.

    Args:
        argon2: new hashes are Argon2id, and `outdated` detects older ones; else bcrypt.
        threads: number of hashes computed at once; the number of processors by default.
    """

    def __init__(self, *, argon2: bool, threads: int | None = None) -> None:
        self._argon2 = argon2
        workers = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="passwords")
        self._turn = asyncio.Semaphore(workers)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """A new hash to store."""
        return await self._run(self._hash, password)

    async def hash_token(self, token: str) -> str:
        """The hash of a one-time token, always bcrypt: LibreChat may be asked for it."""
        return await self._run(_bcrypt, token)

    async def verify(self, password: str, stored: str | None) -> bool:
        """``True`` when the password matches the hash. With ``None`` (no such account, or one
        without a password) the result is ``False`` after the same amount of work."""
        nobody = _NOBODY_ARGON2 if self._argon2 else _NOBODY_BCRYPT
        fits = await self._run(_fits, password, stored or nobody)
        return fits and bool(stored)

    def outdated(self, stored: str) -> bool:
        """``True`` when the hash should be replaced while the password is available."""
        if not self._argon2:
            return False
        return not stored.startswith("$argon2id$") or ARGON2.check_needs_rehash(stored)

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[..., T], *args: str) -> T:
        # The semaphore keeps the queue of the pool empty, so that work of a caller who has hung
        # up is never started, and does not keep others waiting.
        if self._waiting >= LONGEST_QUEUE:
            raise HTTPError(503, _BUSY, headers={"retry-after": "10"})
        self._waiting += 1
        try:
            async with self._turn:
                await check_caller_waits()
                return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)
        finally:
            self._waiting -= 1

    def _hash(self, password: str) -> str:
        return ARGON2.hash(password) if self._argon2 else _bcrypt(password)


def _bcrypt(text: str) -> str:
    return bcrypt.hashpw(text.encode()[:BCRYPT_BYTES], bcrypt.gensalt(BCRYPT_COST)).decode()


def _fits(password: str, stored: str) -> bool:
    try:
        if stored.startswith("$argon2"):
            return ARGON2.verify(stored, password)
        return bcrypt.checkpw(password.encode()[:BCRYPT_BYTES], stored.encode())
    except (VerificationError, InvalidHashError, ValueError):
        return False
