"""Second factor (contract auth §8, §9; security §1, §4)."""

import asyncio
import base64
import hashlib
from datetime import UTC, datetime
from typing import Any

import httpx2
import jwt
import pytest

SECRET = "JBSWY3DPEHPK3PXP"
JWT_SECRET = "test-jwt-secret-test-jwt-secret-test"
FA = "/api/auth/2fa"


@pytest.fixture
async def ann(someone: Any) -> Any:
    """Ann, signed in, without a second factor."""
    await someone.add("ann@example.com")
    someone.bearer = await someone.token("ann@example.com")
    return someone


def outcome(answer: httpx2.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json() if answer.content else None


class TestEnrolment:
    async def test_from_nothing_to_signing_in_with_it(
        self, ann: Any, code_of: Any, stored_codes: Any
    ) -> None:
        answer = await ann.post(f"{FA}/enable", token=ann.bearer)
        assert answer.status_code == 200
        body = answer.json()
        assert list(body) == ["otpauthUrl", "backupCodes"]
        url = httpx2.URL(body["otpauthUrl"])
        secret = url.params["secret"]
        assert body["otpauthUrl"] == (
            f"otpauth://totp/LibreChat:ann@example.com?secret={secret}&issuer=LibreChat"
        )
        assert len(base64.b32decode(secret)) == 20
        assert len(set(body["backupCodes"])) == 10
        assert all(len(bytes.fromhex(code)) == 4 for code in body["backupCodes"])
        stored = await ann.account("ann@example.com")
        assert stored["pendingTotpSecret"].startswith("v3:")
        assert stored["pendingBackupCodes"] == stored_codes(*body["backupCodes"])
        assert stored["twoFactorEnabled"] is False
        assert "token" in (await ann.login("ann@example.com")).json()

        # The client sends one code to both.
        code = code_of(secret)
        for step in ("verify", "confirm"):
            answer = await ann.post(f"{FA}/{step}", {"token": code}, ann.bearer)
            assert (answer.status_code, answer.content) == (200, b"")
            assert answer.headers["content-type"] == "application/json; charset=utf-8"
        stored = await ann.account("ann@example.com")
        assert stored["twoFactorEnabled"] is True
        assert stored["pendingTotpSecret"] is None
        assert stored["pendingBackupCodes"] == []
        assert stored["backupCodes"] == stored_codes(*body["backupCodes"])
        assert ann.server.kernel.credentials.decrypt(stored["totpSecret"]) == secret

        temp = await ann.pending()
        # The code that confirmed is used up.
        answer = await ann.post(f"{FA}/verify-temp", {"tempToken": temp, "token": code})
        assert outcome(answer) == (401, {"message": "Invalid 2FA code or backup code"})
        body = {"tempToken": temp, "token": code_of(secret, 1)}
        answer = await ann.post(f"{FA}/verify-temp", body)
        assert answer.status_code == 200
        assert list(answer.json()) == ["token", "user"]
        user = answer.json()["user"]
        assert user["id"] == user["_id"] == str(stored["_id"])
        assert user["twoFactorEnabled"] is True
        hidden = {"password", "totpSecret", "backupCodes", "pendingTotpSecret", "__v"}
        assert not hidden & set(user)
        assert answer.headers["set-cookie"].startswith("refreshToken=")
        assert (await ann.me(answer.json()["token"])).status_code == 200

    async def test_the_title_has_no_blanks(self, people: Any) -> None:
        async with people({"APP_TITLE": "Our Own Chat?"}) as someone:
            await someone.add("ann+x@example.com")
            bearer = await someone.token("ann+x@example.com")
            url = (await someone.post(f"{FA}/enable", token=bearer)).json()["otpauthUrl"]
            assert url.startswith("otpauth://totp/OurOwnChat%3F:ann+x@example.com?secret=")
            assert url.endswith("&issuer=OurOwnChat%3F")

    async def test_wrong_codes(self, ann: Any, code_of: Any) -> None:
        for step in ("verify", "confirm"):
            answer = await ann.post(f"{FA}/{step}", {"token": "123456"}, ann.bearer)
            assert outcome(answer) == (400, {"message": "2FA not initiated"})
        body = (await ann.post(f"{FA}/enable", token=ann.bearer)).json()
        secret = httpx2.URL(body["otpauthUrl"]).params["secret"]
        old = code_of(secret, -2)
        for sent in ({"token": old}, {"token": "12345"}, {"token": "１２３４５６"}, {}):
            answer = await ann.post(f"{FA}/verify", sent, ann.bearer)
            assert outcome(answer) == (400, {"message": "Invalid token or backup code."})
            answer = await ann.post(f"{FA}/confirm", sent, ann.bearer)
            assert outcome(answer) == (400, {"message": "Invalid token."})
        # During the first enrolment a backup code is not good yet.
        sent = {"backupCode": body["backupCodes"][0]}
        assert (await ann.post(f"{FA}/verify", sent, ann.bearer)).status_code == 400
        for hostile in ({"token": 123456}, {"token": {"$gt": ""}}, {"backupCode": ["x"]}):
            assert (await ann.post(f"{FA}/verify", hostile, ann.bearer)).status_code == 400
        assert (await ann.account("ann@example.com"))["twoFactorEnabled"] is False

    async def test_can_ask_for_the_password(self, people: Any) -> None:
        async with people({"LOCUTORY_ENROL_ASKS_PASSWORD": "true"}) as someone:
            await someone.add("ann@example.com")
            bearer = await someone.token("ann@example.com")
            for sent in ({}, {"password": "wrongwrong1"}):
                answer = await someone.post(f"{FA}/enable", sent, bearer)
                assert outcome(answer) == (401, {"message": "Incorrect password."})
            sent = {"password": "password123"}
            assert (await someone.post(f"{FA}/enable", sent, bearer)).status_code == 200


class TestChanging:
    """Whoever has a second factor shows it before any of it changes (CVE-2026-54036, -54040)."""

    MISSING = {  # noqa: RUF012
        "enable": "TOTP token or backup code is required to re-enroll 2FA",
        "disable": "Either token or backup code is required to disable 2FA",
        "backup/regenerate": "TOTP token or backup code is required to regenerate backup codes",
    }

    @pytest.mark.parametrize("step", list(MISSING))
    async def test_asks_for_it(self, ann: Any, step: str) -> None:
        await ann.protect(SECRET, "0011aabb")
        before = await ann.account("ann@example.com")
        answer = await ann.post(f"{FA}/{step}", token=ann.bearer)
        assert outcome(answer) == (400, {"message": self.MISSING[step]})
        for wrong in ({"token": "000000"}, {"backupCode": "ffffffff"}, {"token": "0011aabb"}):
            answer = await ann.post(f"{FA}/{step}", wrong, ann.bearer)
            assert outcome(answer) == (401, {"message": "Invalid token or backup code"})
        assert await ann.account("ann@example.com") == before

    async def test_enrolling_anew(self, ann: Any, code_of: Any) -> None:
        await ann.protect(SECRET, "0011aabb")
        answer = await ann.post(f"{FA}/enable", {"token": code_of(SECRET)}, ann.bearer)
        secret = httpx2.URL(answer.json()["otpauthUrl"]).params["secret"]
        assert secret != SECRET
        # Until it is confirmed the old one holds, and the new one opens nothing.
        stored = await ann.account("ann@example.com")
        assert (stored["twoFactorEnabled"], stored["totpSecret"]) == (True, SECRET)
        temp = await ann.pending()
        sent = {"tempToken": temp, "token": code_of(secret)}
        assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 401
        # A code of this same half minute of the new secret is another one.
        sent = {"token": code_of(secret)}
        assert (await ann.post(f"{FA}/confirm", sent, ann.bearer)).status_code == 200
        sent = {"tempToken": temp, "token": code_of(SECRET, 1)}
        assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 401
        sent = {"tempToken": temp, "token": code_of(secret, 1)}
        assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 200

    async def test_taking_it_away(self, ann: Any, code_of: Any) -> None:
        answer = await ann.post(f"{FA}/disable", token=ann.bearer)
        assert outcome(answer) == (400, {"message": "2FA is not setup for this user"})
        await ann.protect(SECRET, "0011aabb")
        sent = {"backupCode": " 0011aabb "}
        answer = await ann.post(f"{FA}/disable", sent, ann.bearer)
        assert (answer.status_code, answer.content) == (200, b"")
        stored = await ann.account("ann@example.com")
        assert stored["totpSecret"] is None
        assert stored["pendingTotpSecret"] is None
        assert (stored["backupCodes"], stored["pendingBackupCodes"]) == ([], [])
        assert stored["twoFactorEnabled"] is False
        assert "token" in (await ann.login("ann@example.com")).json()

    async def test_new_backup_codes(self, ann: Any, code_of: Any, stored_codes: Any) -> None:
        await ann.protect(SECRET, "0011aabb")
        sent = {"token": code_of(SECRET)}
        answer = await ann.post(f"{FA}/backup/regenerate", sent, ann.bearer)
        body = answer.json()
        assert list(body) == ["backupCodes", "backupCodesHash"]
        assert body["backupCodesHash"] == stored_codes(*body["backupCodes"])
        stored = await ann.account("ann@example.com")
        assert stored["backupCodes"] == body["backupCodesHash"]
        temp = await ann.pending()
        sent = {"tempToken": temp, "backupCode": "0011aabb"}
        assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 401
        sent = {"tempToken": temp, "backupCode": body["backupCodes"][3]}
        assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 200

    async def test_a_secret_that_cannot_be_read(self, ann: Any) -> None:
        await ann.protect("v3:00:zz", "0011aabb")
        sent = {"token": "123456"}
        for step in self.MISSING:
            answer = await ann.post(f"{FA}/{step}", sent, ann.bearer)
            assert outcome(answer) == (400, {"message": "2FA secret is missing or corrupted"})
        temp = await ann.pending()
        answer = await ann.post(f"{FA}/verify-temp", {"tempToken": temp, **sent})
        assert answer.status_code == 401


class TestWritten:
    """What other versions of LibreChat have written is good here."""

    @pytest.mark.parametrize("form", ["plain", "v1", "v2", "v3"])
    @pytest.mark.parametrize("secret", [SECRET, SECRET * 2])
    async def test_secrets(self, ann: Any, code_of: Any, form: str, secret: str) -> None:
        credentials = ann.server.kernel.credentials
        write = {"plain": str, **{f"v{n}": getattr(credentials, f"encrypt_v{n}") for n in "123"}}
        await ann.protect(write[form](secret))
        sent = {"tempToken": await ann.pending(), "token": code_of(secret)}
        assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 200

    async def test_salted_backup_codes(self, ann: Any, stored_codes: Any) -> None:
        code, salt = "00112233445566778899aabbccddeeff", "0f" * 16
        hashed = hashlib.sha256((salt + code).encode()).hexdigest()
        new = {"codeHash": f"sha256:{salt}:{hashed}", "used": False, "usedAt": None, "of": "0.8.9"}
        odd = [
            {"codeHash": text} for text in (None, 7, f"sha256:{salt}", f"sha512:{salt}:{hashed}")
        ]
        await ann.protect(SECRET)
        await ann.change("ann@example.com", backupCodes=[*odd, *stored_codes("0011aabb"), new])
        for wrong in (hashed, salt + code, new["codeHash"], f"{code[:-1]}0", salt):
            sent = {"tempToken": await ann.pending(), "backupCode": wrong}
            assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 401
        for good in (f" {code} ", "0011aabb"):
            sent = {"tempToken": await ann.pending(), "backupCode": good}
            assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 200
            sent["tempToken"] = await ann.pending()
            assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 401
        stored = (await ann.account("ann@example.com"))["backupCodes"][-1]
        assert {**stored, "usedAt": None} == {**new, "used": True}


class TestOnce:
    async def test_a_code_counts_once(self, ann: Any, code_of: Any) -> None:
        await ann.protect(SECRET)
        code = code_of(SECRET)
        first, second = await ann.pending(), await ann.pending()
        sent = {"tempToken": first, "token": code}
        assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 200
        sent = {"tempToken": second, "token": code}
        assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 401
        # Neither does one of before.
        sent = {"tempToken": second, "token": code_of(SECRET, -1)}
        assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 401
        # Nor for anything else.
        assert (await ann.post(f"{FA}/disable", {"token": code}, ann.bearer)).status_code == 401

    @pytest.mark.parametrize("kind", ["token", "backupCode"])
    async def test_nor_for_several_at_once(self, ann: Any, code_of: Any, kind: str) -> None:
        await ann.protect(SECRET, "0011aabb", "22334455")
        code = code_of(SECRET) if kind == "token" else "0011aabb"
        temps = [await ann.pending() for _ in range(6)]
        answers = await asyncio.gather(
            *(ann.post(f"{FA}/verify-temp", {"tempToken": temp, kind: code}) for temp in temps)
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 5

    async def test_a_backup_code_is_marked(self, ann: Any, stored_codes: Any) -> None:
        await ann.protect(SECRET, "0011aabb", "22334455")
        sent = {"tempToken": await ann.pending(), "backupCode": "22334455"}
        assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 200
        unused, used = (await ann.account("ann@example.com"))["backupCodes"]
        assert unused == stored_codes("0011aabb")[0]
        assert used["used"] is True
        assert isinstance(used["usedAt"], datetime)
        sent["tempToken"] = await ann.pending()
        assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 401

    async def test_codes_of_a_neighbouring_step_count(self, ann: Any, code_of: Any) -> None:
        await ann.protect(SECRET)
        for steps in (-1, 0, 1):
            sent = {"tempToken": await ann.pending(), "token": code_of(SECRET, steps)}
            assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 200
        for steps in (-3, 3):
            sent = {"tempToken": await ann.pending(), "token": code_of(SECRET, steps)}
            assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 401


class TestTemporaryToken:
    async def test_is_not_an_access_token_nor_the_other_way_round(
        self, ann: Any, code_of: Any
    ) -> None:
        await ann.protect(SECRET)
        temp = await ann.pending()
        assert (await ann.me(temp)).status_code == 401
        refresh = {"cookie": f"refreshToken={temp}"}
        assert (await ann.post("/api/auth/refresh", **refresh)).status_code == 403
        sent = {"token": code_of(SECRET)}
        claims = jwt.decode(temp, JWT_SECRET, algorithms=["HS256"])
        forged = {
            "access": ann.bearer,
            "other secret": jwt.encode(claims, "another secret that is long enough"),
            "refresh secret": jwt.encode(claims, "test-refresh-secret-test-refresh-secret"),
            "not pending": jwt.encode({**claims, "twoFAPending": False}, JWT_SECRET),
            "a word": jwt.encode({**claims, "twoFAPending": "true"}, JWT_SECRET),
            "both": jwt.encode({**claims, "id": claims["userId"]}, JWT_SECRET),
            "expired": jwt.encode({**claims, "exp": claims["iat"] - 1}, JWT_SECRET),
            "for ever": jwt.encode(
                {key: value for key, value in claims.items() if key != "exp"}, JWT_SECRET
            ),
            "no id": jwt.encode({**claims, "userId": {"$gt": ""}}, JWT_SECRET),
            "unsigned": jwt.encode(claims, "", "none"),
            "no token": "x",
        }
        for name, token in forged.items():
            answer = await ann.post(f"{FA}/verify-temp", {"tempToken": token, **sent})
            assert outcome(answer) == (
                401,
                {"message": "Invalid or expired temporary token"},
            ), name
        for missing in ({}, {"tempToken": ""}, {"tempToken": None}):
            answer = await ann.post(f"{FA}/verify-temp", missing)
            assert outcome(answer) == (400, {"message": "Missing temporary token"})
        assert (await ann.post(f"{FA}/verify-temp", {"tempToken": {"a": 1}})).status_code == 400

    async def test_opens_one_session(self, ann: Any, code_of: Any) -> None:
        await ann.protect(SECRET, "0011aabb")
        temp = await ann.pending()
        sent = {"tempToken": temp, "token": code_of(SECRET)}
        assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 200
        sent = {"tempToken": temp, "backupCode": "0011aabb"}
        answer = await ann.post(f"{FA}/verify-temp", sent)
        assert outcome(answer) == (401, {"message": "Invalid or expired temporary token"})
        # And the backup code is not lost by that.
        assert (await ann.account("ann@example.com"))["backupCodes"][0]["used"] is False

    async def test_dies_with_the_password(self, ann: Any, code_of: Any) -> None:
        await ann.protect(SECRET)
        temp = await ann.pending()
        user = (await ann.account("ann@example.com"))["_id"]
        await ann.auth.reset.set(user, "new password 1")
        sent = {"tempToken": temp, "token": code_of(SECRET)}
        assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 401

    async def test_of_librechat_is_good(self, ann: Any, code_of: Any) -> None:
        await ann.protect(SECRET)
        user = str((await ann.account("ann@example.com"))["_id"])
        moment = int(datetime.now(UTC).timestamp())
        claims = {"userId": user, "twoFAPending": True, "iat": moment, "exp": moment + 300}
        sent = {"tempToken": jwt.encode(claims, JWT_SECRET), "token": code_of(SECRET)}
        assert (await ann.post(f"{FA}/verify-temp", sent)).status_code == 200

    async def test_without_second_factor(self, ann: Any) -> None:
        await ann.protect(SECRET)
        temp = await ann.pending()
        await ann.change("ann@example.com", twoFactorEnabled=False)
        answer = await ann.post(f"{FA}/verify-temp", {"tempToken": temp, "token": "123456"})
        assert outcome(answer) == (400, {"message": "2FA is not enabled for this user"})
