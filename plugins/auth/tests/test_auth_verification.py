"""Verification of e-mail addresses (contract user §8, auth §6, §10)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

VERIFY, RESEND = "/api/user/verify", "/api/user/verify/resend"
DONE = {"message": "Please check your email to verify your email address."}
GOOD = {"message": "Email verification was successful", "status": "success"}
BAD = {"message": "Invalid or expired email verification token"}


@pytest.fixture
async def post(people: Any, mailbox: Any) -> Any:
    """A server with mail."""
    async with people({**mailbox.settings, "DOMAIN_CLIENT": "https://chat.example/"}) as someone:
        someone.mailbox = mailbox
        yield someone


async def follow(someone: Any, link: httpx2.URL) -> httpx2.Response:
    """What the page behind the link sends."""
    body = {"email": link.params["email"], "token": link.params["token"]}
    answer: httpx2.Response = await someone.post(VERIFY, body)
    return answer


async def test_sign_up_mail_link_sign_in(post: Any) -> None:
    answer = await post.register("Ann+x@Example.com", name="Ann <b>", username="ann")
    assert (answer.status_code, answer.json()) == (200, DONE)
    assert (await post.login("ann+x@example.com")).status_code == 422
    message = await post.mailbox.next()
    assert message["To"] == '"Ann <b>" <ann+x@example.com>'
    assert message["Subject"] == "Verify your email"
    link = await post.mailbox.link()
    assert str(link).startswith("https://chat.example/verify?token=")
    assert link.params["email"] == "ann+x@example.com"
    (row,) = await post.rows("tokens")
    assert row["type"] == "email_verification"
    assert row["email"] == "ann+x@example.com"
    assert row["token"].startswith("$2b$10$")
    assert (row["expiresAt"] - row["createdAt"]) == timedelta(seconds=900)
    answer = await follow(post, link)
    assert (answer.status_code, answer.json()) == (200, GOOD)
    stored = await post.account("ann+x@example.com")
    assert stored["emailVerified"] is True
    assert "expiresAt" not in stored
    assert await post.rows("tokens") == []
    assert (await post.login("ann+x@example.com")).status_code == 200
    answer = await follow(post, link)
    assert (answer.status_code, answer.json()) == (400, BAD)


async def test_the_address_may_be_encoded_once_more(post: Any) -> None:
    await post.register("ann+x@example.com")
    link = await post.mailbox.link()
    body = {"email": "Ann%2Bx%40example.com", "token": link.params["token"]}
    assert (await post.post(VERIFY, body)).json() == GOOD


async def test_wrong_links_change_nothing(post: Any) -> None:
    await post.register("ann@example.com")
    await post.register("bob@example.com")
    await post.mailbox.next(2)
    links = {}
    for message in post.mailbox.messages:
        post.mailbox.messages = [message]
        links[message["To"].addresses[0].addr_spec] = (await post.mailbox.link()).params["token"]
    ann = links["ann@example.com"]
    wrong: list[Any] = [
        {},
        {"email": "ann@example.com"},
        {"token": ann},
        {"email": "ann@example.com", "token": "x" * 64},
        {"email": "ann@example.com", "token": ""},
        {"email": "bob@example.com", "token": ann},
        {"email": "nobody@example.com", "token": ann},
        {"email": {"$gt": ""}, "token": ann},
        {"email": "ann@example.com", "token": {"$ne": 1}},
        {"email": ["ann@example.com"], "token": ann},
        {"email": "%", "token": ann},
        {"email": "x" * 10_000, "token": ann},
    ]
    for body in wrong:
        answer = await post.post(VERIFY, body)
        assert (answer.status_code, answer.json()) == (400, BAD), body
    assert [row["emailVerified"] for row in await post.rows("users")] == [False, False]
    tokens = post.server.kernel.database.collection("tokens")
    await tokens.update_many({}, {"$set": {"expiresAt": datetime.now(UTC)}})
    assert (await post.post(VERIFY, {"email": "ann@example.com", "token": ann})).json() == BAD


async def test_a_new_link_replaces_the_old_one(post: Any) -> None:
    await post.register("ann@example.com")
    old = await post.mailbox.link()
    answer = await post.post(RESEND, {"email": " ANN@example.com "})
    assert (answer.status_code, answer.json()) == (200, DONE)
    new = await post.mailbox.link(2)
    assert (await follow(post, old)).status_code == 400
    assert (await follow(post, new)).status_code == 200
    # Verified accounts get one too, and following it is no failure.
    await post.post(RESEND, {"email": "ann@example.com"})
    assert (await follow(post, await post.mailbox.link(3))).json() == GOOD


async def test_resending_tells_nothing_of_accounts(post: Any) -> None:
    await post.register("ann@example.com")
    await post.mailbox.next()
    answers = []
    for email in ("ann@example.com", "nobody@example.com", "", "x" * 1000, None):
        answer = await post.post(RESEND, {"email": email})
        answers.append((answer.status_code, answer.json()))
    assert answers == [(200, DONE)] * 5
    await post.mailbox.next(2)
    assert all(to == ["ann@example.com"] for to in post.mailbox.recipients)
    assert (await post.post(RESEND, {"email": {"$gt": ""}})).status_code == 400


async def test_registering_again_sends_nothing(post: Any) -> None:
    await post.register("ann@example.com")
    await post.register("ann@example.com")
    await post.auth.mailer.drain()
    assert len(post.mailbox.messages) == 1


async def test_a_broken_mail_server_is_not_felt(post: Any) -> None:
    post.mailbox.refuse = "550 no"
    assert (await post.register("ann@example.com")).json() == DONE
    await post.auth.mailer.drain()


async def test_without_mail(people: Any) -> None:
    async with people({"VERIFY_EMAIL_MAX": "5"}) as someone:
        await someone.register("ann@example.com")
        assert (await someone.account("ann@example.com"))["emailVerified"] is True
        for email in ("ann@example.com", "nobody@example.com"):
            answer = await someone.post(RESEND, {"email": email})
            assert (answer.status_code, answer.json()) == (200, DONE)
        assert await someone.rows("tokens") == []


async def test_links_never_come_from_the_request(post: Any) -> None:
    await post.post(
        "/api/auth/register",
        post.form("ann@example.com"),
        **{"host": "evil.example", "x-forwarded-host": "evil.example"},
    )
    assert (await post.mailbox.link()).host == "chat.example"


async def test_limits(people: Any, mailbox: Any) -> None:
    limits = {"VERIFY_EMAIL_MAX": "2", "VERIFY_EMAIL_SUBMISSION_MAX": "1"}
    async with people({**mailbox.settings, **limits}) as someone:
        text = {"message": "Too many attempts, please try again after 2 minute(s)"}
        for path, most in ((RESEND, 2), (VERIFY, 1)):
            for _ in range(most):
                assert (await someone.post(path, {"email": "a@example.com"})).status_code != 429
            answer = await someone.post(path, {"email": "a@example.com"})
            assert (answer.status_code, answer.json()) == (429, text)


async def test_a_link_of_librechat_is_good(someone: Any) -> None:
    """Rows from before there were types."""
    await someone.register("ann@example.com")
    await someone.change("ann@example.com", emailVerified=False)
    user = (await someone.account("ann@example.com"))["_id"]
    row = {
        "userId": user,
        "email": "ann@example.com",
        "token": await someone.auth.passwords.hash_token("t" * 64),
        "createdAt": datetime.now(UTC),
        "expiresAt": datetime.now(UTC) + timedelta(seconds=900),
    }
    await someone.server.kernel.database.collection("tokens").insert_one(row)
    body = {"email": "ann@example.com", "token": "t" * 64}
    assert (await someone.post(VERIFY, body)).json() == GOOD
    assert (await someone.account("ann@example.com"))["emailVerified"] is True
