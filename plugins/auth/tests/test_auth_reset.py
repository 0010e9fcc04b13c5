"""Password reset (contract auth §7; security §4)."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import bcrypt
import httpx2
import pytest

from locutory import Plugin, Provide, hook
from locutory_contracts.chat import GENERATIONS

REQUEST, RESET = "/api/auth/requestPasswordReset", "/api/auth/resetPassword"
SENT = {
    "message": "If an account with that email exists, a password reset link has been sent to it."
}
NOT_GOOD = {"message": "Invalid or expired password reset token"}
ON = {
    "ALLOW_PASSWORD_RESET": "true",
    "RESET_PASSWORD_MAX": "1000",
    "DOMAIN_CLIENT": "https://chat.example",
}


class Turns(Plugin):
    """Remembers whose turns were stopped."""

    name = "turns"
    summary = "Running turns; for tests only"
    provides = (GENERATIONS,)

    def __init__(self) -> None:
        self.stopped: list[str] = []

    @hook
    def services(self) -> list[Provide]:
        return [Provide(GENERATIONS, self)]

    async def stop_all(self, user: str) -> None:
        self.stopped.append(user)


@pytest.fixture
async def post(people: Any, mailbox: Any) -> Any:
    """A server with mail, on which Ann has forgotten her password."""
    turns = Turns()
    async with people({**mailbox.settings, **ON}, plugins=[turns]) as someone:
        someone.mailbox, someone.turns = mailbox, turns
        await someone.add("ann@example.com")
        yield someone


def form(link: httpx2.URL, password: str = "new password 1", **changes: Any) -> dict[str, Any]:
    """What the page behind the link sends."""
    return {
        "userId": link.params["userId"],
        "token": link.params["token"],
        "password": password,
        "confirm_password": password,
        **changes,
    }


async def test_request_mail_link_new_password(post: Any) -> None:
    access = await post.token("ann@example.com")
    cookies = dict(post.server.client.cookies)
    assert (await post.me(access)).status_code == 200
    answer = await post.post(REQUEST, {"email": " Ann@Example.com"})
    assert (answer.status_code, answer.json()) == (200, SENT)
    message = await post.mailbox.next()
    assert message["Subject"] == "Password Reset Request"
    link = await post.mailbox.link()
    user = (await post.account("ann@example.com"))["_id"]
    assert str(link).startswith("https://chat.example/reset-password?token=")
    assert link.params["userId"] == str(user)
    (row,) = await post.rows("tokens")
    assert (row["type"], row["userId"]) == ("password_reset", user)
    assert bcrypt.checkpw(link.params["token"].encode(), row["token"].encode())
    assert row["expiresAt"] - row["createdAt"] == timedelta(seconds=900)

    answer = await post.post(RESET, form(link))
    assert (answer.status_code, answer.json()) == (
        200,
        {"message": "Password reset was successful"},
    )
    assert (await post.mailbox.next(2))["Subject"] == "Password Reset Successfully"
    # Everything that was open is over, at once.
    assert await post.rows("sessions") == []
    assert await post.rows("locutory_refresh") == []
    assert (await post.me(access)).status_code == 401
    post.server.client.cookies.update(cookies)
    assert (await post.post("/api/auth/refresh")).status_code == 401
    assert set(post.turns.stopped) == {str(user)}
    assert await post.rows("tokens") == []

    assert (await post.login("ann@example.com")).json() == {"message": "Incorrect password."}
    answer = await post.login("ann@example.com", "new password 1")
    assert answer.status_code == 200
    assert (await post.me(answer.json()["token"])).status_code == 200
    answer = await post.post(RESET, form(link, "another password"))
    assert (answer.status_code, answer.json()) == (400, NOT_GOOD)


async def test_bad_links_change_nothing(post: Any) -> None:
    await post.add("bob@example.com")
    for email in ("ann@example.com", "bob@example.com"):
        await post.post(REQUEST, {"email": email})
    await post.mailbox.next(2)
    ann = next(m for m in post.mailbox.messages if m["To"].addresses[0].username == "ann")
    post.mailbox.messages = [ann]
    link = await post.mailbox.link()
    bob = str((await post.account("bob@example.com"))["_id"])
    for changes in (
        {"token": "x" * 64},
        {"token": ""},
        {"token": None},
        {"userId": bob},
        {"userId": "nonsense"},
        {"userId": None},
        {"userId": "a" * 24},
        {"token": link.params["token"] + "x"},
    ):
        answer = await post.post(RESET, form(link, **changes))
        assert (answer.status_code, answer.json()) == (400, NOT_GOOD), changes
    for hostile in ({"token": {"$ne": ""}}, {"userId": {"$gt": ""}}, {"userId": [bob]}):
        assert (await post.post(RESET, form(link, **hostile))).status_code == 400
    tokens = post.server.kernel.database.collection("tokens")
    await tokens.update_many({}, {"$set": {"expiresAt": datetime.now(UTC)}})
    assert (await post.post(RESET, form(link))).json() == NOT_GOOD
    assert (await post.login("ann@example.com")).status_code == 200


async def test_a_password_has_to_be_one(post: Any) -> None:
    await post.post(REQUEST, {"email": "ann@example.com"})
    link = await post.mailbox.link()
    for changes, text in (
        ({"password": "short", "confirm_password": "short"}, "at least 8"),
        ({"password": "x" * 129, "confirm_password": "x" * 129}, "at most 128"),
        ({"password": " " * 9, "confirm_password": " " * 9}, "only spaces"),
        ({"confirm_password": "something else"}, "did not match"),
        ({"password": 12345678}, "received number"),
        ({"password": None}, "received null"),
    ):
        answer = await post.post(RESET, form(link, **changes))
        assert answer.status_code == 400
        assert text in answer.json()["message"]
    # The link is not used up by that; the second field may be absent.
    body = form(link)
    del body["confirm_password"]
    assert (await post.post(RESET, body)).status_code == 200


async def test_a_link_works_for_one_of_many(post: Any) -> None:
    await post.post(REQUEST, {"email": "ann@example.com"})
    link = await post.mailbox.link()
    answers = await asyncio.gather(
        *(post.post(RESET, form(link, f"new password {number}")) for number in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    number = next(n for n, answer in enumerate(answers) if answer.status_code == 200)
    assert (await post.login("ann@example.com", f"new password {number}")).status_code == 200


async def test_a_second_request_voids_the_first(post: Any) -> None:
    await post.post(REQUEST, {"email": "ann@example.com"})
    first = await post.mailbox.link()
    await post.post(REQUEST, {"email": "ann@example.com"})
    second = await post.mailbox.link(2)
    assert (await post.post(RESET, form(first))).json() == NOT_GOOD
    assert (await post.post(RESET, form(second))).status_code == 200


async def test_nothing_tells_of_accounts(post: Any) -> None:
    answers = []
    for email in ("ann@example.com", "nobody@example.com", "not an address"):
        answer = await post.post(REQUEST, {"email": email})
        answers.append((answer.status_code, answer.json(), sorted(answer.headers)))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][:2] == (200, SENT)
    await post.auth.mailer.drain()
    assert mailed(post) == [["ann@example.com"]]


def mailed(post: Any) -> Any:
    return post.mailbox.recipients


async def test_links_never_come_from_the_request(post: Any) -> None:
    headers = {
        "host": "evil.example",
        "x-forwarded-host": "evil.example",
        "origin": "https://evil.example",
        "referer": "https://evil.example/x",
    }
    await post.post(REQUEST, {"email": "ann@example.com"}, **headers)
    assert (await post.mailbox.link()).host == "chat.example"


async def test_the_second_factor_is_still_asked_for(post: Any) -> None:
    await post.change("ann@example.com", twoFactorEnabled=True, totpSecret="JBSWY3DPEHPK3PXP")
    await post.post(REQUEST, {"email": "ann@example.com"})
    await post.post(RESET, form(await post.mailbox.link()))
    body = (await post.login("ann@example.com", "new password 1")).json()
    assert list(body) == ["twoFAPending", "tempToken"]


async def test_a_sign_in_that_began_before_opens_nothing(post: Any) -> None:
    """The old password was checked; then it changed; then the session would have opened."""
    auth = post.auth
    began = datetime.now(UTC)
    account = await post.account("ann@example.com")
    await auth.reset.set(account["_id"], "new password 1")
    with pytest.raises(Exception, match="401"):
        await auth.identities._session_issuer.open(account, began, _nowhere())
    assert await post.rows("sessions") == []


def _nowhere() -> Any:
    from locutory_auth.sessions.rotation import Device

    return Device()


async def test_without_mail_the_link_can_be_the_answer(people: Any) -> None:
    async with people({**ON, "LOCUTORY_RESET_LINK_IN_ANSWER": "true"}) as someone:
        await someone.add("ann@example.com")
        assert (await someone.post(REQUEST, {"email": "nobody@example.com"})).json() == SENT
        body = (await someone.post(REQUEST, {"email": "ann@example.com"})).json()
        assert list(body) == ["link"]
        assert (await someone.post(RESET, form(httpx2.URL(body["link"])))).status_code == 200


async def test_but_is_not_for_strangers(people: Any) -> None:
    """And asking does not void the link that an administrator handed out."""
    async with people(ON) as someone:
        await someone.add("ann@example.com")
        user = (await someone.account("ann@example.com"))["_id"]
        link = await someone.auth.reset.link(user)
        for address in ("ann@example.com", "nobody@example.com"):
            answer = await someone.post(REQUEST, {"email": address})
            assert (answer.status_code, answer.json()) == (200, SENT)
        assert (await someone.post(RESET, form(httpx2.URL(link)))).status_code == 200


async def test_can_be_off(someone: Any) -> None:
    for path in (REQUEST, RESET):
        answer = await someone.post(path, {"email": "ann@example.com"})
        assert (answer.status_code, answer.text) == (403, "Password reset is not allowed.")


async def test_domains(people: Any, mailbox: Any) -> None:
    yaml = {"registration": {"allowedDomains": ["example.com"]}}
    async with people({**mailbox.settings, **ON}, yaml=yaml) as someone:
        answer = await someone.post(REQUEST, {"email": "ann@evil.example.com"})
        assert (answer.status_code, answer.json()) == (400, {"code": "auth_failed"})
        assert (await someone.post(REQUEST, {"email": "ann@EXAMPLE.com"})).json() == SENT
        assert (await someone.post(REQUEST, {})).status_code == 400
        assert (await someone.post(REQUEST, {"email": {"$gt": ""}})).status_code == 400


async def test_limits(people: Any) -> None:
    limits = {**ON, "RESET_PASSWORD_MAX": "2", "RESET_PASSWORD_WINDOW": "3"}
    async with people(limits) as someone:
        for path in (REQUEST, RESET):
            for _ in range(2):
                assert (await someone.post(path, {"email": "a@example.com"})).status_code != 429
            answer = await someone.post(path, {"email": "a@example.com"})
            assert answer.status_code == 429
            assert answer.json() == {
                "message": "Too many attempts, please try again after 3 minute(s)"
            }


async def test_a_row_of_librechat_is_good(post: Any) -> None:
    """Rows from before there were types, hashed by bcryptjs."""
    user = (await post.account("ann@example.com"))["_id"]
    stored = "$2a$" + bcrypt.hashpw(b"t" * 64, bcrypt.gensalt(4)).decode()[4:]
    row = {
        "userId": user,
        "token": stored,
        "createdAt": datetime.now(UTC),
        "expiresAt": datetime.now(UTC) + timedelta(seconds=900),
    }
    await post.server.kernel.database.collection("tokens").insert_one(row)
    body = {"userId": str(user), "token": "t" * 64, "password": "new password 1"}
    assert (await post.post(RESET, body)).status_code == 200
