"""Sharing with people and groups of Microsoft Entra (contract roles §4.7)."""

import asyncio
from typing import Any

import pytest
from bson import ObjectId
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from locutory_contracts.access import OWNER, VIEW


def guid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def person(number: int, **more: Any) -> dict[str, Any]:
    """Somebody as the client sends him back."""
    sent = {"name": "What the client says", "email": "liar@evil.example"}
    return {"type": "user", "source": "entra", "idOnTheSource": guid(number), **sent, **more}


def group(number: int, **more: Any) -> dict[str, Any]:
    return {**person(number, **more), "type": "group"}


class TestPeople:
    async def test_account_of_somebody_new(self, office: Any, issuer: Any, graph: Any) -> None:
        graph.person(2, "Bert Berg", mail="Bert.Berg@corp.example", givenName="Bert")
        async with office() as found:
            ada, resource = found.user, await found.resource()
            shown = await found.share(resource, person(2, id=None, description="x", avatar="y"))
            created = await found.account(idOnTheSource=guid(2))
            assert shown == [
                {
                    "type": "user",
                    "id": str(created["_id"]),
                    "name": "Bert Berg",
                    "email": "bert.berg@corp.example",
                    "source": "entra",
                    "avatar": "y",
                    "idOnTheSource": guid(2),
                    "accessRoleId": "agent_viewer",
                }
            ]
            assert created["email"] == "bert.berg@corp.example"
            assert created["name"] == "Bert Berg"
            assert created["username"] == "bert@corp.example"
            assert created["provider"] == "openid"
            assert created["emailVerified"] is False
            assert created["role"] == "USER"
            assert created["openidIssuer"] == issuer.address
            for absent in ("password", "openidId", "tenantId", "expiresAt"):
                assert absent not in created
            assert "liar" not in str(await found.rows("users").find({}).to_list())
            # It is Bert's when he comes, whatever his address is by then.
            bert = await found.sign_in("bert", oid=guid(2), email="b.berg@corp.example")
            assert bert == str(created["_id"]) != ada
            stored = await found.account(_id=created["_id"])
            assert (stored["openidId"], stored["email"]) == ("bert", "b.berg@corp.example")
            assert await found.rows("users").count_documents({}) == 2
            assert await found.bits(resource) == VIEW

    async def test_nobody_else_gets_it(self, office: Any, graph: Any) -> None:
        """Neither a stranger with the address, nor one with the id at another issuer."""
        graph.person(2, "Bert Berg", mail="bert@corp.example")
        async with office() as found:
            resource = await found.resource()
            (shown,) = await found.share(resource, person(2))
            with pytest.raises(AssertionError, match="could not sign in"):
                await found.sign_in("mallory", oid=guid(66), email="bert@corp.example")
            await found.sign_in("carl", oid=guid(3), email="carl@corp.example")
            assert await found.bits(resource) == 0
            stored = await found.account(_id=ObjectId(shown["id"]))
            assert "openidId" not in stored

    async def test_same_person_twice_in_one_request_and_again(
        self, office: Any, graph: Any
    ) -> None:
        graph.person(2, "Bert Berg")
        async with office() as found:
            resource = await found.resource()
            for _ in range(2):
                shown = await found.share(resource, person(2), person(2))
                assert len(shown) == 1
            assert await found.rows("users").count_documents({}) == 2

    async def test_many_shares_at_once_make_one_account(self, office: Any, graph: Any) -> None:
        graph.person(2, "Bert Berg")
        graph.group(8, "Crew", {"id": guid(2)})
        async with office() as found:
            resources = [await found.resource() for _ in range(5)]
            answers = await asyncio.gather(
                *(found.share(each, person(2), group(8)) for each in resources)
            )
            assert len({tuple(each["id"] for each in answer) for answer in answers}) == 1
            assert all(len(answer) == 2 for answer in answers)
            assert await found.rows("users").count_documents({}) == 2
            assert await found.rows("groups").count_documents({}) == 1

    async def test_sharing_while_the_person_signs_in(self, office: Any, graph: Any) -> None:
        graph.person(2, "Bert Berg")
        async with office() as found:
            resource = await found.resource()
            token, cookies = found.credentials()
            headers = {
                "authorization": f"Bearer {token}",
                "cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
            }
            body = {"updated": [{"accessRoleId": "agent_viewer", **person(2)}]}
            address = f"/api/permissions/agent/{resource}"
            shares = [found.browser.put(address, json=body, headers=headers) for _ in range(3)]
            *answers, bert = await asyncio.gather(*shares, found.sign_in("bert", oid=guid(2)))
            ids = {each["id"] for a in answers for each in a.json()["results"]["principals"]}
            assert ids == {bert}
            assert await found.rows("users").count_documents({"idOnTheSource": guid(2)}) == 1

    async def test_accounts_that_are_there_are_not_changed(
        self, office: Any, issuer: Any, graph: Any
    ) -> None:
        for number in range(2, 9):
            graph.person(number, f"p{number} x", mail=f"P{number}@corp.example")
        async with office() as found:
            address = "p{}@corp.example".format
            known = [
                await found.add("other@x.org", provider="openid", idOnTheSource=guid(2)),
                await found.add(address(3), emailVerified=True),
                await found.add(address(4), provider="openid", openidId="o4"),
                await found.add(
                    "m@x.org",
                    provider="openid",
                    idOnTheSource=guid(8),
                    openidIssuer=issuer.address,
                ),
            ]
            # Registered by anybody; somebody else there; of another issuer.
            await found.add(address(5), emailVerified=False)
            await found.add(address(6), provider="openid", idOnTheSource=guid(77))
            await found.add(address(7), provider="openid", openidIssuer="https://else.example")
            before = await found.rows("users").find({}).to_list()
            resource = await found.resource()
            shown = await found.share(resource, *map(person, range(2, 9)))
            assert [each["id"] for each in shown] == known
            assert await found.rows("users").find({}).to_list() == before

    async def test_domains_that_may_register(self, office: Any, graph: Any, logged: Any) -> None:
        graph.person(2, "Bert Berg", mail="bert@elsewhere.example")
        graph.person(3, "Carl Cool", mail="carl@corp.example")
        yaml = {"registration": {"allowedDomains": ["corp.example"]}}
        async with office(yaml) as found:
            shown = await found.share(await found.resource(), person(2), person(3))
            assert [each["name"] for each in shown] == ["Carl Cool"]
            assert await found.rows("users").count_documents({}) == 2
            assert "'code': 'domain'" in logged.text()

    async def test_person_without_an_address(self, office: Any, graph: Any) -> None:
        graph.person(2, "Bert Berg", userPrincipalName=None)
        async with office() as found:
            assert await found.share(await found.resource(), person(2)) == []

    async def test_tenant_of_the_caller(self, office: Any, graph: Any) -> None:
        graph.person(2, "Bert Berg")
        graph.group(8, "Crew", {"id": guid(2)})
        async with office(TRUST_TENANT_HEADER="true", signed_in=False) as found:
            await found.add("bert@corp.example", emailVerified=True)
            found.browser.headers["x-tenant-id"] = "acme"
            await found.sign_in(oid=guid(1))
            resource = await found.resource()
            shown = await found.share(resource, person(2), group(8))
            assert len(shown) == 2
            created = await found.account(idOnTheSource=guid(2))
            assert created["tenantId"] == "acme"
            stored = await found.rows("groups").find_one({"idOnTheSource": guid(8)})
            assert stored["tenantId"] == "acme"
            assert await found.sign_in("bert", oid=guid(2)) == str(created["_id"])
            assert await found.bits(resource) == VIEW


class TestGroups:
    async def test_group_with_its_members(self, office: Any, graph: Any) -> None:
        """People of nested groups too, page after page; only people."""
        others = [
            {"@odata.type": "#microsoft.graph.group", "id": guid(50)},
            {"@odata.type": "#microsoft.graph.device", "id": guid(51)},
            {"@odata.type": "#microsoft.graph.user", "id": {"$ne": ""}},
        ]
        people = [{"id": guid(number)} for number in (2, 3, 4, 2)]
        graph.group(8, "Crew", *others, *people, mail="Crew@corp.example", description="Sails")
        owner = {"@odata.type": "#microsoft.graph.user", "id": guid(5)}
        graph.objects[f"groups/{guid(8)}/owners"] = [owner, {"id": guid(52)}]
        async with office() as found:
            resource = await found.resource()
            (shown,) = await found.share(resource, group(8))
            stored = await found.rows("groups").find_one({})
            assert shown["id"] == str(stored["_id"])
            assert (shown["name"], shown["email"]) == ("Crew", "crew@corp.example")
            assert stored["name"] == "Crew"
            assert stored["email"] == "crew@corp.example"
            assert stored["description"] == "Sails"
            assert (stored["source"], stored["idOnTheSource"]) == ("entra", guid(8))
            assert stored["memberIds"] == [guid(2), guid(3), guid(4)]
            assert "tenantId" not in stored
            # They get in at their first sign-in, and stay while the directory says so.
            for groups, bits in (([guid(8)], VIEW), ([], 0), ([guid(8)], VIEW)):
                graph.objects["me/getMemberGroups"] = groups
                await found.sign_in("carl", oid=guid(3))
                assert await found.bits(resource) == bits
            graph.objects["me/getMemberGroups"] = []
            await found.sign_in("eve", oid=guid(6))
            assert await found.bits(resource) == 0

    async def test_owners_where_they_count(self, office: Any, graph: Any) -> None:
        graph.group(8, "Crew", {"id": guid(2)})
        owner = {"@odata.type": "#microsoft.graph.user", "id": guid(5)}
        graph.objects[f"groups/{guid(8)}/owners"] = [owner]
        async with office(ENTRA_ID_INCLUDE_OWNERS_AS_MEMBERS="true") as found:
            await found.share(await found.resource(), group(8))
            stored = await found.rows("groups").find_one({})
            assert stored["memberIds"] == [guid(2), guid(5)]

    async def test_group_that_is_known_follows_the_directory(self, office: Any, graph: Any) -> None:
        graph.group(8, "Crew", {"id": guid(2)})
        local = str(ObjectId())
        async with office() as found:
            row = {
                "name": "Old",
                "email": "old@x.org",
                "source": "entra",
                "idOnTheSource": guid(8),
                "memberIds": [guid(3), local],
            }
            await found.rows("groups").insert_one(row)
            await found.rows("groups").insert_one(
                {"name": "Local", "email": "liar@evil.example", "source": "local", "memberIds": []}
            )
            await found.sign_in("carl", oid=guid(3))
            await found.rows("groups").update_one(
                {"_id": row["_id"]}, {"$set": {"memberIds": [guid(3), local]}}
            )
            token, cookies = found.credentials()
            await found.sign_in(oid=guid(1))
            resource = await found.resource()
            for _ in range(2):
                (shown,) = await found.share(resource, group(8))
                assert shown["id"] == str(row["_id"])
            stored = await found.rows("groups").find_one({"_id": row["_id"]})
            assert stored["name"] == "Crew"
            assert "email" not in stored
            assert stored["memberIds"] == [guid(2), local]
            assert await found.rows("groups").count_documents({}) == 2
            found.use(token, cookies)
            assert await found.bits(resource) == 0

    @pytest.mark.parametrize("trouble", ["forbidden", "disguised", "other scheme", "endless"])
    async def test_members_that_cannot_be_told(
        self, office: Any, graph: Any, logged: Any, trouble: str
    ) -> None:
        """Nobody loses his place then."""
        graph.group(8, "Crew", *({"id": guid(number)} for number in range(2, 9)))
        path = f"groups/{guid(8)}/transitiveMembers"
        host = graph.address.removeprefix("http://")
        if trouble == "forbidden":
            graph.instead[path] = lambda: JSONResponse({"error": "x"}, 403)
        elif trouble == "disguised":
            graph.next_page = f"http://{host}@evil.example/v1.0/{path}"
        elif trouble == "other scheme":
            graph.next_page = f"https://{host}/v1.0/{path}"
        else:
            graph.next_page = f"{graph.address}/v1.0/{path}"
        await self._keeps_its_members(office, graph, logged)

    async def test_next_page_elsewhere(
        self, office: Any, graph: Any, logged: Any, listen: Any
    ) -> None:
        """The token goes nowhere but to Graph, and what others say counts for nothing."""
        seen: list[str] = []

        async def tempt(request: Request) -> Response:
            seen.append(request.headers.get("authorization", ""))
            return JSONResponse(
                {"value": [{"@odata.type": "#microsoft.graph.user", "id": guid(9)}]}
            )

        graph.group(8, "Crew", *({"id": guid(number)} for number in range(2, 9)))
        async with listen([Route("/{path:path}", tempt)]) as elsewhere:
            graph.next_page = f"{elsewhere}/v1.0/groups/{guid(8)}/transitiveMembers"
            await self._keeps_its_members(office, graph, logged)
        assert seen == []

    async def _keeps_its_members(self, office: Any, graph: Any, logged: Any) -> None:
        async with office() as found:
            row = {
                "name": "Crew",
                "source": "entra",
                "idOnTheSource": guid(8),
                "memberIds": [guid(3)],
            }
            await found.rows("groups").insert_one(row)
            (shown,) = await found.share(await found.resource(), group(8))
            assert shown["id"] == str(row["_id"])
            stored = await found.rows("groups").find_one({"_id": row["_id"]})
            assert stored["memberIds"] == [guid(3)]
            assert logged.text().count("directory.failed") == 1
            assert graph.asked[0].token not in logged.text()


NOT_IDS = (
    "../me",
    "x",
    "",
    f"{guid(2)}/manager",
    f"{guid(2)}?$expand=x",
    f"{guid(2)}#",
    f" {guid(2)}",
    f"{guid(2)}\n",
    "０" + guid(2)[1:],
    "bert@corp.example",
    {"$ne": ""},
    [guid(2)],
    7,
    None,
)


class TestOnlyWhatTheDirectoryConfirms:
    @pytest.mark.parametrize("source_id", NOT_IDS, ids=map(repr, NOT_IDS))
    async def test_ids_that_are_none(self, office: Any, graph: Any, source_id: Any) -> None:
        graph.person(2, "Bert Berg")
        async with office() as found:
            await found.add("known@x.org", emailVerified=True)
            sent = {"idOnTheSource": source_id, "email": "known@x.org"}
            shown = await found.share(
                await found.resource(), person(2, **sent), group(2, **sent), person(2)
            )
            assert [each["name"] for each in shown] == ["Bert Berg"]
            assert graph.paths() == [f"users/{guid(2)}"]
            assert await found.rows("groups").count_documents({}) == 0

    async def test_upper_case_is_the_same_id(self, office: Any, graph: Any) -> None:
        graph.person(0xAB, "Bert Berg")
        async with office() as found:
            sent = person(2, idOnTheSource=guid(0xAB).upper())
            (shown,) = await found.share(await found.resource(), sent)
            assert shown["idOnTheSource"] == guid(0xAB)

    async def test_unknown_or_somebody_else(self, office: Any, graph: Any) -> None:
        graph.person(3, "Carl Cool")
        graph.instead[f"users/{guid(4)}"] = lambda: JSONResponse(graph.objects["users"][0])
        graph.instead[f"users/{guid(5)}"] = lambda: JSONResponse({"value": []})
        graph.instead[f"users/{guid(6)}"] = lambda: JSONResponse({}, 503)
        async with office() as found:
            await found.add("liar@evil.example", emailVerified=True, idOnTheSource=guid(2))
            before = await found.rows("users").count_documents({})
            shown = await found.share(
                await found.resource(), *map(person, (2, 4, 5, 6)), group(3), person(2, source="x")
            )
            assert shown == []
            assert await found.rows("users").count_documents({}) == before

    async def test_who_may_not_search_may_not_try_either(self, office: Any, graph: Any) -> None:
        graph.person(2, "Bert Berg")
        graph.group(8, "Crew", {"id": guid(2)})
        people = {"peoplePicker": {"users": False, "groups": False, "roles": False}}
        yaml = {"interface": {**people, "agents": {"use": True, "share": True}}}
        async with office(yaml) as found:
            assert await found.share(await found.resource(), person(2), group(8)) == []
            assert graph.asked == []
            assert await found.rows("users").count_documents({}) == 1

    async def test_who_may_not_share_may_not_try_either(self, office: Any, graph: Any) -> None:
        graph.person(2, "Bert Berg")
        async with office() as found:
            answer = await found.put(str(ObjectId()), person(2))
            assert answer.status_code == 403
            await found.share(await found.resource(), person(2, accessRoleId="nonsense"))
            assert graph.asked == []

    async def test_so_many_at_once(self, office: Any, graph: Any) -> None:
        graph.objects["users"] = []
        async with office() as found:
            resource = await found.resource()
            answer = await found.put(resource, *map(person, range(101)))
            assert answer.status_code == 400
            assert "at most 100" in answer.json()["details"]
            assert graph.asked == []
            assert (await found.put(resource, *map(person, range(100)))).status_code == 200

    async def test_session_that_is_not_the_callers(self, office: Any, graph: Any) -> None:
        graph.person(2, "Bert Berg")
        async with office() as found:
            resource = await found.resource()
            token, ada = found.credentials()
            await found.sign_in("bob", oid=guid(9))
            _, bob = found.credentials()
            graph.asked.clear()
            found.use(token, {**ada, "connect.sid": bob["connect.sid"]})
            assert await found.share(resource, person(2)) == []
            assert graph.asked == []
            assert await found.bits(resource) == OWNER
