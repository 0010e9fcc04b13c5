"""Second factors that LibreChat stored, guessing at codes, and the service (contract auth §8, §9)."""

from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from locutory_contracts.accounts import SECOND_FACTOR

SECRET = "JBSWY3DPEHPK3PXP"
KEY = bytes.fromhex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
IV = bytes(range(16))
FA = "/api/auth/2fa"
TOO_MANY = {"message": "Too many verification attempts, please try again after 5 minutes."}


def v3(secret: str) -> str:
    encryptor = Cipher(algorithms.AES(KEY), modes.CTR(IV)).encryptor()
    return f"v3:{IV.hex()}:{(encryptor.update(secret.encode()) + encryptor.finalize()).hex()}"


def v2(secret: str) -> str:
    padder = padding.PKCS7(128).padder()
    text = padder.update(secret.encode()) + padder.finalize()
    encryptor = Cipher(algorithms.AES(KEY), modes.CBC(IV)).encryptor()
    return f"{IV.hex()}:{(encryptor.update(text) + encryptor.finalize()).hex()}"


@pytest.fixture
async def ann(someone: Any) -> Any:
    """Ann, signed in, without a second factor."""
    await someone.add("ann@example.com")
    someone.bearer = await someone.token("ann@example.com")
    return someone


def outcome(answer: httpx2.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json() if answer.content else None


class TestLibreChatsAccounts:
    """Stored by LibreChat, used unchanged."""

    @pytest.mark.parametrize("stored", [v3(SECRET), v2(SECRET), SECRET])
    async def test_every_form_of_the_secret(self, ann: Any, code_of: Any, stored: str) -> None:
        await ann.protect(stored, "0011aabb")
        before = await ann.account("ann@example.com")
        sent = {"tempToken": await ann.pending(), "token": code_of(SECRET)}
        assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 200
        assert await ann.account("ann@example.com") == before

    async def test_secrets_made_with_other_keys(self, people: Any, code_of: Any) -> None:
        async with people({"CREDS_KEY": "ff" * 32}) as someone:
            await someone.add("ann@example.com")
            for stored in (v3(SECRET), v2(SECRET)):
                await someone.protect(stored)
                sent = {"tempToken": await someone.pending(), "token": code_of(SECRET)}
                assert (await someone.post(f"{FA}/verify-temp", sent)).status_code == 401


class TestGuessing:
    @pytest.mark.usefixtures("still_cache")
    async def test_is_slowed_down_for_an_account(self, people: Any, code_of: Any) -> None:
        async with people({"TWO_FACTOR_TEMP_MAX": "3"}) as someone:
            await someone.add("ann@example.com")
            bearer = await someone.token("ann@example.com")
            await someone.protect(SECRET)
            statuses = []
            for _ in range(6):
                answer = await someone.post(f"{FA}/disable", {"token": "000000"}, bearer)
                statuses.append(answer.status_code)
            assert statuses[:3] == [401] * 3
            assert 429 in statuses[3:]
            assert outcome(answer) == (429, TOO_MANY)
            assert int(answer.headers["retry-after"]) >= 1
            # Whichever way: other routes, other plugins.
            sent = {"token": code_of(SECRET)}
            answer = await someone.post(f"{FA}/backup/regenerate", sent, bearer)
            assert answer.status_code == 429
            factor = someone.server.kernel.services.get(SECOND_FACTOR)
            user = str((await someone.account("ann@example.com"))["_id"])
            with pytest.raises(Exception, match="429"):
                await factor.verify(user, code_of(SECRET), None)

    async def test_a_good_code_clears_the_count(self, people: Any) -> None:
        async with people({"TWO_FACTOR_TEMP_MAX": "3"}) as someone:
            await someone.add("ann@example.com")
            bearer = await someone.token("ann@example.com")
            await someone.protect(SECRET, *(f"0011aab{n}" for n in range(8)))
            for number in range(8):
                for _ in range(2):
                    answer = await someone.post(f"{FA}/disable", {"token": "000000"}, bearer)
                    assert answer.status_code == 401
                factor = someone.server.kernel.services.get(SECOND_FACTOR)
                user = str((await someone.account("ann@example.com"))["_id"])
                assert await factor.verify(user, None, f"0011aab{number}")

    @pytest.mark.usefixtures("still_cache")
    async def test_limits_by_address_and_by_account(self, people: Any) -> None:
        limits = {"TWO_FACTOR_TEMP_MAX": "2", "TWO_FACTOR_TEMP_WINDOW": "5"}
        proxied = {"LOCUTORY_TRUSTED_PROXIES": "127.0.0.0/8"}
        async with people({**limits, **proxied}) as someone:
            await someone.add("ann@example.com")
            await someone.protect(SECRET)
            temp = await someone.pending()
            sent = {"tempToken": temp, "token": "000000"}
            statuses = [
                (
                    await someone.post(
                        f"{FA}/verify-temp", sent, **{"x-forwarded-for": f"198.51.100.{number}"}
                    )
                ).status_code
                for number in range(4)
            ]
            assert statuses == [401, 401, 429, 429]
            for number in range(3):
                answer = await someone.post(
                    f"{FA}/verify-temp",
                    {"tempToken": f"x{number}"},
                    **{"x-forwarded-for": "203.0.113.9"},
                )
            assert outcome(answer) == (429, TOO_MANY)


async def test_the_service(ann: Any, code_of: Any) -> None:
    factor = ann.server.kernel.services.get(SECOND_FACTOR)
    user = str((await ann.account("ann@example.com"))["_id"])
    assert not await factor.required(user)
    assert not await factor.verify(user, "123456", None)
    await ann.protect(SECRET, "0011aabb")
    assert await factor.required(user)
    assert not await factor.verify(user, None, None)
    assert await factor.verify(user, code_of(SECRET), None)
    assert not await factor.verify(user, code_of(SECRET), None)
    assert await factor.verify(user, None, "0011aabb")
    for nobody in ("a" * 24, "nonsense", ""):
        assert not await factor.required(nobody)
        assert not await factor.verify(nobody, "123456", "0011aabb")
