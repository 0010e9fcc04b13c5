"""People and groups of Microsoft Entra in the people picker (contract roles §4.4)."""

import asyncio
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse

from locutory_contracts.sign_in import SIGN_INS

ROOT = "https://graph.microsoft.com"
SCOPES = f"{ROOT}/User.Read {ROOT}/People.Read {ROOT}/GroupMember.Read.All"
EXCHANGE = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def guid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def exchanges(issuer: Any) -> list[dict[str, str]]:
    return [form for form in issuer.asked if form["grant_type"] == EXCHANGE]


async def test_people_and_groups(office: Any, issuer: Any, graph: Any) -> None:
    graph.person(2, "Bert Berg", mail="Bert.Berg@Corp.Example")
    graph.objects["me/people"] = [
        {
            "id": guid(3),
            "displayName": "Bertha Best",
            "userPrincipalName": "bertha@corp.example",
            "scoredEmailAddresses": [{"address": "Bertha.Best@corp.example"}],
            "personType": {"class": "Person", "subclass": "OrganizationUser"},
        },
        {"id": guid(2), "displayName": "Bert Berg", "userPrincipalName": "bert@corp.example"},
    ]
    graph.group(8, "Berth crew", mail="Crew@corp.example", description="Moors ships")
    async with office() as found:
        answer = await found.search("bert", limit=9)
        assert answer == {
            "query": "bert",
            "limit": 9,
            "types": None,
            "results": [
                {
                    "type": "user",
                    "name": "Bert Berg",
                    "email": "bert@corp.example",
                    "username": "bert@corp.example",
                    "source": "entra",
                    "idOnTheSource": guid(2),
                },
                {
                    "type": "user",
                    "name": "Bertha Best",
                    "email": "bertha.best@corp.example",
                    "username": "bertha@corp.example",
                    "source": "entra",
                    "idOnTheSource": guid(3),
                },
                {
                    "type": "group",
                    "name": "Berth crew",
                    "email": "crew@corp.example",
                    "description": "Moors ships",
                    "source": "entra",
                    "idOnTheSource": guid(8),
                },
            ],
            "count": 3,
            "sources": {"local": 0, "entra": 3},
        }
        (exchange,) = exchanges(issuer)  # made when the membership was looked up, at sign-in
        assert exchange["requested_token_use"] == "on_behalf_of"
        assert exchange["scope"] == SCOPES
        assert sorted(graph.paths()) == ["groups", "me/people", "users"]
        assert {each.token for each in graph.asked} == {f"{exchange['assertion']}~{SCOPES}"}
        assert {each.query["$top"] for each in graph.asked} == {"9"}
        # The exchanged token serves until it expires.
        await asyncio.gather(*(found.search("bert") for _ in range(3)))
        assert len(exchanges(issuer)) == 1
        assert "entra" not in str(await found.rows("users").find({}).to_list())


async def test_exchanged_token_that_expires(office: Any, issuer: Any, graph: Any) -> None:
    issuer.exchange_life = 61  # a minute before its end it counts as expired
    graph.person(2, "Bert Berg")
    async with office() as found:
        await asyncio.sleep(1.1)
        issuer.asked.clear()
        issuer.exchange_life = 3600
        for _ in range(2):
            assert await found.names("bert", types="user") == ["Bert Berg"]
        assert len(exchanges(issuer)) == 1
        # Graph may not take it any longer: it is exchanged anew then.
        graph.refused_tokens.add(graph.asked[-1].token)
        assert await found.names("bert", types="user") == []
        graph.refused_tokens.clear()
        assert await found.names("bert", types="user") == ["Bert Berg"]
        assert len(exchanges(issuer)) == 2


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ({"types": "user"}, ["me/people", "users"]),
        ({"types": "group"}, ["groups"]),
        ({"types": "role,group"}, ["groups"]),
        ({"types": "role"}, []),
        ({}, ["groups", "me/people", "users"]),
    ],
)
async def test_only_what_is_asked_for(office: Any, graph: Any, query: Any, paths: Any) -> None:
    for path in ("users", "groups", "me/people"):
        graph.objects[path] = []
    async with office() as found:
        await found.search("xy", **query)
        assert sorted(graph.paths()) == paths


async def test_contacts_need_their_scope(office: Any, graph: Any) -> None:
    graph.person(2, "Bert Berg")
    async with office(OPENID_GRAPH_SCOPES="User.Read, User.ReadBasic.All") as found:
        assert await found.names("bert", types="user") == ["Bert Berg"]
        assert graph.paths() == ["users"]
        assert graph.asked[0].token.endswith(f"~{ROOT}/User.Read {ROOT}/User.ReadBasic.All")


async def test_local_ones_come_first_and_once(office: Any, graph: Any) -> None:
    graph.person(2, "Same Id")
    graph.person(3, "Same Mail", mail="SAME@corp.example")
    for number in range(10, 20):
        graph.person(number, f"same {number}", mail=f"s{number}@corp.example")
    graph.group(7, "Same crew")
    async with office() as found:
        await found.add("x@corp.example", name="xxsame one", idOnTheSource=guid(2))
        await found.add("same@corp.example", name="xxsame two")
        await found.rows("groups").insert_one(
            {"name": "xxsame crew", "source": "entra", "idOnTheSource": guid(7), "memberIds": []}
        )
        answer = await found.search("same", limit=5)
        assert answer["sources"] == {"local": 2, "entra": 3}
        assert sum("id" in each for each in answer["results"]) == 3
        names = [each["name"] for each in answer["results"] if "id" not in each]
        assert names == ["same 10", "same 11"]
        # Nothing is asked when those here are enough.
        graph.asked.clear()
        for limit in (1, 2, 3):
            answer = await found.search("same", limit=limit)
            assert all("id" in each for each in answer["results"])
        assert graph.asked == []
        assert len((await found.search("same", limit=50))["results"]) == 13


TEXTS = (
    'ann" OR "mail:bert',
    "ann\\",
    '\\" OR "mail:bert',
    '"',
    "ann&$top=999",
    "ann#x",
    "a+b c",
    "%22 OR %22mail:bert",
    "mail:bert",
    "ann) or (1 eq 1",
    "ünï/../me",
)


@pytest.mark.parametrize("text", TEXTS)
async def test_text_is_text(office: Any, graph: Any, text: str) -> None:
    wanted = text if len(text) > 1 else text * 2
    graph.person(2, "Bert Berg", mail="bert@corp.example")
    graph.person(3, f"x{wanted}x")
    graph.group(4, f"y{wanted}y")
    graph.objects["me/people"] = []
    async with office() as found:
        assert await found.names(wanted, limit=7) == [f"x{wanted}x", f"y{wanted}y"]
        for each in graph.asked:
            assert each.path in ("users", "groups", "me/people")
            assert each.query["$top"] == "7"
            assert set(each.query) <= {"$search", "$filter", "$select", "$top"}
        # There a colon would make a topic of what stands before it.
        assert ("me/people" in graph.paths()) == (":" not in wanted)


async def test_what_cannot_be_meant_is_not_asked(office: Any, graph: Any) -> None:
    async with office() as found:
        for text in ("a\x00b", "a\nb", "\x7f\x7f"):
            assert await found.names(text) == []
        assert graph.asked == []


ANSWERS: dict[str, Any] = {
    "too many requests": lambda: JSONResponse({}, 429, {"retry-after": "30"}),
    "trouble": lambda: JSONResponse({"error": "x"}, 503),
    "error with a secret": lambda: PlainTextResponse("Bearer abc", 500),
    "not JSON": lambda: PlainTextResponse("<html>"),
    "not an object": lambda: JSONResponse(["x"]),
    "no list": lambda: JSONResponse({"value": {"id": guid(2)}}),
    "too much": lambda: PlainTextResponse('{"value":["' + "x" * 2_000_000 + '"]}'),
    "deep": lambda: PlainTextResponse('{"value":' + "[" * 5000 + "]" * 5000 + "}"),
    "redirect": lambda: RedirectResponse("https://evil.example/"),
    "forbidden": lambda: JSONResponse({"error": "Authorization_RequestDenied"}, 403),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_directory_that_fails(office: Any, graph: Any, logged: Any, answer: Any) -> None:
    graph.instead["users"] = answer
    graph.objects["me/people"] = []
    graph.group(8, "Bert's crew")
    async with office() as found:
        await found.add("bert@x.org", name="Bert Local")
        names = ["Bert's crew", "Bert Local"]
        assert sorted(await found.names("bert")) == sorted(names)
        # What failed is left alone for a moment, and what works goes on.
        asked = graph.paths().count("users")
        assert sorted(await found.names("bert")) == sorted(names)
        assert graph.paths().count("users") == asked == 1
        assert graph.paths().count("groups") == 2
        text = logged.text()
        assert text.count("directory.failed") == 1
        assert graph.asked[0].token not in text
        assert graph.asked[0].token.partition("~")[0] not in text


@pytest.mark.parametrize("error", ["invalid_grant", "interaction_required"])
async def test_exchange_that_is_refused(
    office: Any, issuer: Any, graph: Any, logged: Any, error: str
) -> None:
    issuer.exchange_error = error
    async with office() as found:
        await found.add("bert@x.org", name="Bert Local")
        issuer.asked.clear()
        for _ in range(3):
            assert await found.names("bert") == ["Bert Local"]
        assert len(exchanges(issuer)) == 1
        assert graph.asked == []
        assert logged.text().count("directory.failed") == 1
        assert issuer.asked[-1]["assertion"] not in logged.text()


async def test_slow_directory(office: Any, graph: Any, logged: Any) -> None:
    graph.person(2, "Bert Berg")
    yaml = {"plugins": {"oauth": {"directory_seconds": 0.2}}}
    async with office(yaml) as found:
        await found.add("bert@x.org", name="Bert Local")
        graph.delay = 3600.0
        assert await found.names("bert") == ["Bert Local"]
        assert "takes too long" in logged.text()
        graph.delay = 0.0


async def test_unusable_entries_are_left_out(office: Any, graph: Any) -> None:
    graph.instead["users"] = lambda: JSONResponse(
        {
            "value": [
                {"id": "../me", "displayName": "Bert Path"},
                {"id": {"$ne": ""}, "displayName": "Bert Operator"},
                {"displayName": "Bert Nobody"},
                {"id": guid(5), "displayName": ["Bert"], "userPrincipalName": 7},
                {"id": guid(6), "displayName": "Bert Plain", "mail": {"x": 1}},
                "Bert",
                None,
            ],
            "@odata.nextLink": "https://evil.example/v1.0/users",
        }
    )
    graph.objects["me/people"] = [
        {"id": guid(7), "displayName": "Bert Group", "personType": {"class": "Group"}},
        {"id": guid(9), "displayName": "Bert Friend", "scoredEmailAddresses": "x@y"},
    ]
    async with office() as found:
        assert await found.names("bert", types="user") == ["Bert Friend", "Bert Plain"]


class TestOnlyForThoseWhoSignedInThere:
    @pytest.mark.parametrize(
        "settings",
        [{"USE_ENTRA_ID_FOR_PEOPLE_SEARCH": "false"}, {"OPENID_REUSE_TOKENS": "false"}],
    )
    async def test_switched_off(
        self, office: Any, issuer: Any, graph: Any, settings: dict[str, str]
    ) -> None:
        graph.person(2, "Bert Berg")
        async with office(**settings) as found:
            assert await found.names("bert") == []
            assert graph.asked == exchanges(issuer) == []

    async def test_session_that_is_not_the_callers(
        self, office: Any, issuer: Any, graph: Any
    ) -> None:
        graph.person(2, "Bert Berg")
        async with office() as found:
            ada_token, ada = found.credentials()
            await found.sign_in("bob", oid=guid(9))
            bob_token, bob = found.credentials()
            graph.asked.clear()
            issuer.asked.clear()
            # Ada's token and account, with the login session of Bob's browser.
            found.use(ada_token, {**ada, "connect.sid": bob["connect.sid"]})
            assert await found.names("bert") == []
            # A session of ours beside Bob's cookies.
            eve = await found.add("eve@x.org", provider="openid", openidId="eve")
            opened = await found.server.kernel.services.get(SIGN_INS).open(eve)
            assert opened.access_token is not None
            nothing: dict[str, str] = {}
            for cookies in (nothing, bob):
                found.use(opened.access_token, cookies)
                assert await found.names("bert") == []
            found.use(ada_token, {**ada, "connect.sid": "s:forged.signature"})
            assert await found.names("bert") == []
            assert graph.asked == exchanges(issuer) == []
            found.use(bob_token, bob)
            assert await found.names("bert") == ["Bert Berg"]

    @pytest.mark.parametrize("change", [{"provider": "local"}, {"openidId": ""}])
    async def test_account_that_signs_in_another_way_by_now(
        self, office: Any, issuer: Any, graph: Any, change: dict[str, str]
    ) -> None:
        graph.person(2, "Bert Berg")
        async with office() as found:
            assert await found.names("bert", types="user") == ["Bert Berg"]
            graph.asked.clear()
            # Still recognised by the directory's id, but no account of the directory's.
            await found.rows("users").update_one({}, {"$set": change})
            auth = next(each for each in found.server.kernel.plugins if each.name == "auth")
            auth.container.cache.clear()
            assert await found.names("bert", types="user") == []
            assert graph.asked == []

    async def test_not_after_logging_out(self, office: Any, issuer: Any, graph: Any) -> None:
        graph.person(2, "Bert Berg")
        async with office() as found:
            assert await found.names("bert", types="user") == ["Bert Berg"]
            token, cookies = found.credentials()
            assert (await found.call("POST", "/api/auth/logout")).status_code == 200
            graph.asked.clear()
            found.use(token, cookies)
            answer = await found.call("GET", "/api/permissions/search-principals?q=bert")
            assert answer.status_code == 401
            assert graph.asked == []


async def test_half_a_setting_is_told(office: Any) -> None:
    for reuse in ("true", "false"):
        async with office(OPENID_REUSE_TOKENS=reuse, signed_in=False) as found:
            checks = [check for _, check in found.server.kernel.contributions.checks]
            told = [await check.run() for check in checks]
            assert ("USE_ENTRA_ID" in str(told)) == (reuse == "false")
