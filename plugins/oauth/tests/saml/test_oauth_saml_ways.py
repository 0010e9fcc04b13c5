"""The ways that a SAML answer may and may not come (contract security §4)."""

from typing import Any
from urllib.parse import urlencode

CLIENT = "http://localhost:3080"
FAILED = f"{CLIENT}/login?redirect=false&error=auth_failed"
EVIL = {"host": "evil.example", "x-forwarded-host": "evil.example"}


async def test_host_of_a_request_decides_nothing(site: Any, idp: Any) -> None:
    async with site(idp.settings()) as found:
        start = await found.browser.get("/oauth/saml", headers=EVIL)
        request, _ = idp.request(start.headers["location"])
        assert request.get("AssertionConsumerServiceURL") == f"{CLIENT}/oauth/saml/callback"
        form = idp.answer(start.headers["location"])
        back = await found.browser.post("/oauth/saml/callback", data=form, headers=EVIL)
        assert back.headers["location"] == CLIENT


async def test_answer_in_a_query_is_none(site: Any, idp: Any) -> None:
    """It would stand in histories and logs; providers post it."""
    async with site(idp.settings()) as found:
        form = idp.answer(await found.start("saml"))
        back = await found.browser.get(f"/oauth/saml/callback?{urlencode(form)}")
        assert back.headers["location"] == FAILED
        assert found.people.identities == []
        # Nor does it use the sign-in up.
        back = await found.browser.post("/oauth/saml/callback", data=form)
        assert back.headers["location"] == CLIENT


async def test_posted_answer_that_another_browser_fetches(site: Any, idp: Any) -> None:
    async with site(idp.settings()) as found:
        form = idp.answer(await found.start("saml"))
        async with found.server.connect() as stranger:
            answer = await stranger.post("/oauth/saml/callback", data=form)
            assert answer.status_code == 303
            assert not answer.headers.get_list("set-cookie")
            stolen = await stranger.get(answer.headers["location"])
            assert stolen.headers["location"] == FAILED
            assert not stolen.headers.get_list("set-cookie")
        again = await found.browser.get(answer.headers["location"])
        assert again.headers["location"] == FAILED, "a posted answer is fetched once"
        assert found.people.identities == []


async def test_members_that_come_twice(site: Any, idp: Any) -> None:
    """Which of them would count?"""
    async with site(idp.settings()) as found:
        mallory = idp.answer(await found.start("saml"), "mallory@example.com")
        form = idp.answer(await found.start("saml"), "ada@example.com")
        for twice in ({"SAMLResponse"}, {"RelayState"}):
            pairs = [*form.items(), *((name, mallory[name]) for name in twice)]
            headers = {"content-type": "application/x-www-form-urlencoded"}
            back = await found.browser.post(
                "/oauth/saml/callback", content=urlencode(pairs), headers=headers
            )
            assert back.headers["location"] in (FAILED, "/oauth/saml")
        assert found.people.identities == []
