"""Roles that claims demand and give (contract oauth §5.3)."""

from collections.abc import Collection
from typing import Any

import httpx2
import pytest

from locutory import Plugin, Provide, StartupError, hook
from locutory_contracts.sign_in import MEMBERSHIPS, ROLE_NAMES
from locutory_oauth.openid.claims import at_path
from locutory_oauth.openid.roles import words

CLIENT = "http://localhost:3080"


async def arrive(found: Any, issuer: Any, subject: str = "ada", **claims: Any) -> httpx2.Response:
    response: httpx2.Response = await found.come_back(
        issuer.agree(await found.start("openid"), subject, **claims)
    )
    assert response.status_code == 302
    return response


def accepted(response: httpx2.Response) -> bool:
    return response.headers["location"] == CLIENT


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("plain", 1),
        ("realm_access.roles", ["a"]),
        ('a["b.c"].d', 2),
        ("a['b.c'].list[1]", "second"),
        ("https://example.com/roles", ["whole"]),
        ("realm_access.none", None),
        ("plain.deeper", None),
        ("a['b.c'].list[7]", None),
        ("", None),
    ],
)
def test_paths(path: str, value: Any) -> None:
    claims = {
        "plain": 1,
        "realm_access": {"roles": ["a"]},
        "a": {"b.c": {"d": 2, "list": ["first", "second"]}},
        "https://example.com/roles": ["whole"],
    }
    if path:
        assert at_path(claims, path) == value


def test_roles_as_text() -> None:
    assert words("a, b c,d") == ["a", "b", "c", "d"]
    assert words(["a b", 7, None]) == ["a b"]
    assert words({"a": 1}) == []
    assert words(True) == []


REQUIRED = {
    "OPENID_REQUIRED_ROLE": "staff, friends",
    "OPENID_REQUIRED_ROLE_PARAMETER_PATH": "realm_access.roles",
    "OPENID_REQUIRED_ROLE_TOKEN_KIND": "id",
}


@pytest.mark.parametrize(
    ("claims", "allowed"),
    [
        ({"realm_access": {"roles": ["x", "staff"]}}, True),
        ({"realm_access": {"roles": "x friends"}}, True),
        ({"realm_access": {"roles": ["x"]}}, False),
        ({"realm_access": {"roles": ["staffing"]}}, False),
        ({"realm_access": {"roles": {"staff": 1}}}, False),
        ({"realm_access": "staff"}, False),
        ({}, False),
    ],
)
async def test_required_role(
    site: Any, issuer: Any, logged: Any, claims: dict[str, Any], allowed: bool
) -> None:
    async with site(issuer.settings(**REQUIRED)) as found:
        assert accepted(await arrive(found, issuer, **claims)) is allowed
        assert len(found.people.opened) == allowed
        assert found.people.identities or not allowed
    if not allowed:
        assert 'You must have one of: "staff", "friends" role to log in.' in logged.text()


async def test_required_role_in_the_access_token(site: Any, issuer: Any) -> None:
    settings = issuer.settings(**{**REQUIRED, "OPENID_REQUIRED_ROLE_TOKEN_KIND": "access"})
    async with site(settings) as found:
        assert not accepted(await arrive(found, issuer, realm_access={"roles": ["staff"]}))
        issuer.access_claims = {"realm_access": {"roles": ["staff"]}}
        assert accepted(await arrive(found, issuer))


async def test_required_role_in_the_user_info(site: Any, issuer: Any) -> None:
    settings = issuer.settings(**{**REQUIRED, "OPENID_REQUIRED_ROLE_TOKEN_KIND": "userinfo"})
    async with site(settings) as found:
        assert not accepted(await arrive(found, issuer))
        issuer.told = {"realm_access": {"roles": ["staff"]}}
        assert accepted(await arrive(found, issuer))


async def test_administrator_by_claim_and_no_more(site: Any, issuer: Any) -> None:
    rule = {
        "OPENID_ADMIN_ROLE": "boss",
        "OPENID_ADMIN_ROLE_PARAMETER_PATH": "roles",
        "OPENID_ADMIN_ROLE_TOKEN_KIND": "id",
    }
    async with site(issuer.settings(**rule)) as found:
        for roles, role in ((["x"], "USER"), (["boss"], "ADMIN"), ("boss", "ADMIN"), ([], "USER")):
            assert accepted(await arrive(found, issuer, roles=roles))
            assert (await found.people.only())["role"] == role


async def test_administrators_stay_when_nobody_asks(site: Any, issuer: Any) -> None:
    """All three settings are needed."""
    async with site(issuer.settings(OPENID_ADMIN_ROLE="boss")) as found:
        assert accepted(await arrive(found, issuer))
        account = await found.people.only()
        await found.people.update(str(account["_id"]), {"role": "ADMIN"})
        assert accepted(await arrive(found, issuer))
        assert (await found.people.only())["role"] == "ADMIN"


SYNC = {
    "OPENID_ROLE_SYNC_ENABLED": "true",
    "OPENID_ROLE_SYNC_CLAIM": "roles",
    "OPENID_ROLE_SYNC_ROLE_PRIORITY": "Editors, Readers",
    "OPENID_ROLE_SYNC_FALLBACK_ROLE": "USER",
}


async def test_role_comes_and_goes_with_the_claim(site: Any, issuer: Any) -> None:
    async with site(issuer.settings(**SYNC)) as found:
        for roles, role in (
            (["readers", "editors"], "Editors"),
            ("READERS", "Readers"),
            (["ADMIN"], "USER"),
            (["editors"], "Editors"),
            (None, "USER"),
        ):
            assert accepted(await arrive(found, issuer, roles=roles))
            assert (await found.people.only())["role"] == role


async def test_administrators_are_left_alone(site: Any, issuer: Any) -> None:
    async with site(issuer.settings(**SYNC)) as found:
        await arrive(found, issuer)
        account = await found.people.only()
        await found.people.update(str(account["_id"]), {"role": "ADMIN"})
        assert accepted(await arrive(found, issuer, roles=["readers"]))
        assert (await found.people.only())["role"] == "ADMIN"


async def test_without_fallback_the_role_stays(site: Any, issuer: Any) -> None:
    settings = issuer.settings(**{**SYNC, "OPENID_ROLE_SYNC_FALLBACK_ROLE": ""})
    async with site(settings) as found:
        await arrive(found, issuer, roles=["readers"])
        await arrive(found, issuer, roles=[])
        assert (await found.people.only())["role"] == "Readers"


class StoredRoles(Plugin):
    """Knows which roles exist."""

    name = "storedroles"
    summary = "Knows roles; for tests"
    provides = (ROLE_NAMES,)

    @hook
    def services(self) -> list[Provide]:
        return [Provide(ROLE_NAMES, self)]

    async def names(self, tenant: str | None) -> list[str]:
        return ["editors"]


async def test_only_roles_that_exist(site: Any, issuer: Any) -> None:
    async with site(issuer.settings(**SYNC), StoredRoles()) as found:
        assert accepted(await arrive(found, issuer, roles=["EDITORS"]))
        assert (await found.people.only())["role"] == "editors"
        assert not accepted(await arrive(found, issuer, roles=["readers"]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"OPENID_REQUIRED_ROLE": "x"},
        {**REQUIRED, "OPENID_REQUIRED_ROLE_TOKEN_KIND": "cookie"},
        {**SYNC, "OPENID_ROLE_SYNC_FALLBACK_ROLE": "admin"},
        {**SYNC, "OPENID_ROLE_SYNC_ROLE_PRIORITY": "x, Admin"},
        {**SYNC, "OPENID_ROLE_SYNC_CLAIM": ""},
        {"OPENID_ROLE_SYNC_API_ENABLED": "true"},
    ],
)
async def test_rules_that_cannot_work_stop_the_start(site: Any, wrong: dict[str, str]) -> None:
    with pytest.raises(StartupError) as error:
        async with site(wrong):
            pass
    assert "OPENID_" in str(error.value) or "ADMIN" in str(error.value)


# Entra


OVERAGE: dict[str, Any] = {
    "_claim_names": {"groups": "src1"},
    "_claim_sources": {"src1": {"endpoint": "x"}},
}
GROUP = {
    "OPENID_REQUIRED_ROLE": "g3",
    "OPENID_REQUIRED_ROLE_PARAMETER_PATH": "groups",
    "OPENID_REQUIRED_ROLE_TOKEN_KIND": "id",
}


@pytest.mark.parametrize("claims", [OVERAGE, {"hasgroups": True}])
async def test_too_many_groups_for_a_token(site: Any, issuer: Any, claims: dict[str, Any]) -> None:
    graph = {"graph": issuer.address}
    issuer.graph["getMemberObjects"] = ["g1", "g2", "g3"]
    async with site(issuer.settings(**GROUP), addresses=graph) as found:
        assert accepted(await arrive(found, issuer, **claims))
        exchange = issuer.asked[-1]
        assert exchange["requested_token_use"] == "on_behalf_of"
        assert exchange["scope"] == "https://graph.microsoft.com/User.Read"
        issuer.graph["getMemberObjects"] = ["g1"]
        assert not accepted(await arrive(found, issuer, "bob", **claims))
        issuer.graph.clear()
        assert not accepted(await arrive(found, issuer, "carl", **claims))


async def test_overage_decides_over_roles(site: Any, issuer: Any) -> None:
    settings = {**SYNC, "OPENID_ROLE_SYNC_CLAIM": "groups"}
    graph = {"graph": issuer.address}
    issuer.graph["getMemberObjects"] = ["readers"]
    async with site(issuer.settings(**settings), addresses=graph) as found:
        await arrive(found, issuer, **OVERAGE)
        assert (await found.people.only())["role"] == "Readers"
        issuer.graph.clear()  # unknown is not the same as none
        await arrive(found, issuer, **OVERAGE)
        assert (await found.people.only())["role"] == "Readers"


class Groups(Plugin):
    """Keeps membership in groups."""

    name = "groups"
    summary = "Keeps groups; for tests"
    provides = (MEMBERSHIPS,)

    def __init__(self) -> None:
        self.synced: list[tuple[str, set[str]]] = []

    @hook
    def services(self) -> list[Provide]:
        return [Provide(MEMBERSHIPS, self)]

    async def sync(self, user_id: str, source: str, group_ids: Collection[str]) -> None:
        self.synced.append((source, set(group_ids)))


async def test_membership_is_synchronised(site: Any, issuer: Any) -> None:
    groups = Groups()
    settings = issuer.settings(
        OPENID_REUSE_TOKENS="true",
        USE_ENTRA_ID_FOR_PEOPLE_SEARCH="true",
        ENTRA_ID_INCLUDE_OWNERS_AS_MEMBERS="true",
        OPENID_GRAPH_SCOPES="User.Read,GroupMember.Read.All",
    )
    issuer.graph["getMemberGroups"] = ["g1", "g2", "g3"]
    issuer.graph["ownedObjects/microsoft.graph.group"] = [{"id": "g4"}]
    async with site(settings, groups, addresses={"graph": issuer.address}) as found:
        assert accepted(await arrive(found, issuer))
        assert groups.synced == [("entra", {"g1", "g2", "g3", "g4"})]
        root = "https://graph.microsoft.com"
        scopes = f"{root}/User.Read {root}/GroupMember.Read.All"
        assert issuer.asked[-1]["scope"] == scopes
        # The token goes nowhere else; and when groups are unknown nobody loses one.
        issuer.next_page = "https://evil.example/v1.0/me/getMemberGroups"
        assert accepted(await arrive(found, issuer))
        issuer.graph.clear()
        assert accepted(await arrive(found, issuer))
        assert len(groups.synced) == 1


async def test_user_info_on_behalf(site: Any, issuer: Any) -> None:
    issuer.told = {"email": "ada@example.com"}
    settings = issuer.settings(
        OPENID_ON_BEHALF_FLOW_FOR_USERINFO_REQUIRED="true",
        OPENID_ON_BEHALF_FLOW_USERINFO_SCOPE="profile.read",
    )
    async with site(settings) as found:
        assert accepted(await arrive(found, issuer))
        assert issuer.asked[-1]["scope"] == "profile.read"
        assert (await found.people.only())["email"] == "ada@example.com"


async def test_directory_of_the_person_names_the_issuer(site: Any, issuer: Any) -> None:
    """Entra's common endpoint: the issuer is a template."""
    issuer.metadata["issuer"] = f"{issuer.address}/{{tenantid}}/v2.0"
    issuer.changes = {"iss": f"{issuer.address}/t-1/v2.0", "tid": "t-1"}
    async with site(issuer.settings()) as found:
        assert accepted(await arrive(found, issuer))
        assert (await found.people.only())["openidIssuer"] == f"{issuer.address}/t-1/v2.0"
        assert not found.people.identities[-1].issuer_configured
        for changes in (
            {"iss": f"{issuer.address}/t-2/v2.0"},
            {"tid": None},
            {"tid": "../x", "iss": f"{issuer.address}/../x/v2.0"},
        ):
            issuer.changes = {"iss": f"{issuer.address}/t-1/v2.0", "tid": "t-1", **changes}
            assert not accepted(await arrive(found, issuer))
