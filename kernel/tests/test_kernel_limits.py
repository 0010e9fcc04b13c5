"""Rate limits in memory and in Redis (contract kernel §11), and whose requests they count."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locutory import (
    JSON,
    Limit,
    LimitExceeded,
    On,
    Public,
    Request,
    Route,
    SignedIn,
    by_ip,
    by_user,
)
from locutory.http.limiting import LocalWindows, RateLimits
from locutory_httpserver.proxies import ProxyTrust
from locutory_testing import Serve, SignIn
from locutory_testing.waiting import PATIENCE, until

BODY = {"message": "Too many attempts"}
ALICE = {"authorization": "Bearer " + "a" * 24}
BOB = {"authorization": "Bearer " + "b" * 24}


async def show_ip(request: Request) -> JSON:
    return JSON({"ip": request.ip})


def route(path: str, *limits: Limit, access: Any = None) -> Route:
    return Route(
        path=path,
        endpoint=show_ip,
        access=access or Public("test"),
        summary="test",
        limits=limits,
    )


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment for each of the two stores."""
    if request.param == "memory":
        return {}
    url = request.getfixturevalue("redis_url")
    prefix = f"{request.node.name}{time.time_ns()}"
    # The password in a variable of its own, as many deployments have it.
    return {
        "USE_REDIS": "true",
        "REDIS_URI": url.replace(":pw@", ""),
        "REDIS_PASSWORD": "pw",
        "REDIS_KEY_PREFIX": prefix,
    }


async def test_a_fixed_window(serve: Serve, make_plugin: Any, store: dict[str, str]) -> None:
    limit = Limit("login", 3, 3600, BODY, violation="logins", score=2)
    told: list[LimitExceeded] = []

    async def hear(fact: LimitExceeded) -> None:
        told.append(fact)

    plugin = make_plugin(
        "door",
        routes=[route("/api/door", limit), route("/api/other", limit)],
        subscriptions=[On(LimitExceeded, hear)],
    )
    async with serve(plugin, environment=store) as server:
        started = time.time()
        for left in (2, 1, 0):
            answer = await server.client.get("/api/door")
            assert answer.status_code == 200
            assert answer.headers["x-ratelimit-limit"] == "3"
            assert answer.headers["x-ratelimit-remaining"] == str(left)
            assert started < int(answer.headers["x-ratelimit-reset"]) <= time.time() + 3601
            assert "retry-after" not in answer.headers
        # Limits with one name share their counter.
        refused = await server.client.get("/api/other")
        assert (refused.status_code, refused.json()) == (429, BODY)
        assert refused.headers["x-ratelimit-remaining"] == "0"
        assert 0 < int(refused.headers["retry-after"]) <= 3600
        assert refused.headers["access-control-allow-origin"] == "*"
        assert told == [LimitExceeded("login", "logins", 2, None, "127.0.0.1")]
        await server.kernel.limits.clear(limit, "127.0.0.1")
        assert (await server.client.get("/api/door")).status_code == 200


async def test_the_window_ends(serve: Serve, make_plugin: Any, store: dict[str, str]) -> None:
    plugin = make_plugin("door", routes=[route("/api/door", Limit("quick", 1, 1, BODY))])
    async with serve(plugin, environment=store) as server:

        async def refused() -> bool:
            answer = await server.client.get("/api/door")
            return answer.status_code == 429 and answer.headers["retry-after"] == "1"

        async def admitted() -> bool:
            return (await server.client.get("/api/door")).status_code == 200

        for _ in range(2):
            await until(admitted)
            await until(refused)


async def test_limits_of_users_and_addresses(serve: Serve, make_plugin: Any) -> None:
    by_address = Limit("ip", 5, 60, {"message": "ip"})
    by_account = Limit("user", 2, 60, {"message": "user"}, key=by_user)
    plugin = make_plugin(
        "door",
        routes=[
            route("/api/both", by_address, by_account, access=SignedIn()),
            route("/api/anyone", by_account),
        ],
    )
    async with serve(plugin, SignIn()) as server:
        get = server.client.get
        assert (await get("/api/both")).status_code == 401  # limits run after access: not counted
        assert [(await get("/api/both", headers=ALICE)).status_code for _ in range(3)] == [
            200,
            200,
            429,
        ]
        assert (await get("/api/both", headers=ALICE)).json() == {"message": "user"}
        assert (await get("/api/both", headers=BOB)).status_code == 200
        assert (await get("/api/both", headers=BOB)).json() == {"message": "ip"}
        # Nobody is signed in: there is no account to count.
        assert {(await get("/api/anyone")).status_code for _ in range(4)} == {200}


async def test_a_request_counts_whatever_its_outcome(serve: Serve, make_plugin: Any) -> None:
    async def fail(_request: Request) -> JSON:
        raise ValueError

    failing = Route(
        path="/api/fail",
        endpoint=fail,
        access=Public("test"),
        summary="test",
        limits=(Limit("fail", 1, 60, BODY),),
    )
    async with serve(make_plugin("door", routes=[failing])) as server:
        answer = await server.client.get("/api/fail")
        assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (500, "0")
        assert (await server.client.get("/api/fail")).status_code == 429


async def test_a_limit_of_nothing_lets_nobody_pass() -> None:
    assert not (await RateLimits().check(Limit("none", 0, 60, BODY), "x")).allowed


async def test_many_at_once_do_not_slip_through(store: dict[str, str]) -> None:
    from locutory.data.redis import connect_redis
    from locutory.settings import KernelConfig
    from locutory_configfile import environment_values

    config = KernelConfig.model_validate(environment_values(KernelConfig, store))
    redis = connect_redis(config, {})
    limits = RateLimits(None if redis is None else redis.limit_storage())
    verdicts = await asyncio.gather(
        *(limits.check(Limit("burst", 10, 60, BODY), "x") for _ in range(50))
    )
    assert sum(verdict.allowed for verdict in verdicts) == 10
    if redis is not None:
        await redis.close()


async def test_expired_counters_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = RateLimits(windows := LocalWindows())
    await limits.check(Limit("old", 5, 1, BODY), "x")
    later = time.time() + 120
    monkeypatch.setattr(time, "time", lambda: later)
    await limits.check(Limit("new", 5, 60, BODY), "y")
    assert len(windows.storage) == 1


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
        ("nonsense", "nonsense"),
    ],
)
def test_the_key_of_an_address(address: str, key: str) -> None:
    assert by_ip(SimpleNamespace(ip=address)) == key  # type: ignore[arg-type]


PRIVATE = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "fc00::/7"]


@pytest.mark.parametrize(
    ("hops", "peer", "forwarded", "client"),
    [
        (1, "10.0.0.1", None, "10.0.0.1"),
        (1, "10.0.0.1", "203.0.113.7", "203.0.113.7"),
        (1, "10.0.0.1", "6.6.6.6, 203.0.113.7", "203.0.113.7"),
        (0, "10.0.0.1", "6.6.6.6, 203.0.113.7", "203.0.113.7"),
        (1, "198.51.100.1", "6.6.6.6", "198.51.100.1"),
        (2, "10.0.0.1", "6.6.6.6, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        (2, "10.0.0.1", "6.6.6.6, 203.0.113.7", "203.0.113.7"),
        (3, "10.0.0.1", "203.0.113.7", "203.0.113.7"),
        (1, "10.0.0.1", "203.0.113.7:1234", "203.0.113.7"),
        (1, "10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        (1, "10.0.0.1", "2001:db8::1", "2001:db8::1"),
        (1, "::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        (1, "::1", "203.0.113.7", "203.0.113.7"),
        (1, "10.0.0.1", "unknown", "10.0.0.1"),
        (1, "10.0.0.1", "203.0.113.7, ", "10.0.0.1"),
        (1, "10.0.0.1", "<script>", "10.0.0.1"),
        (1, "", "203.0.113.7", ""),
    ],
)
def test_the_client_behind_proxies(
    hops: int, peer: str, forwarded: str | None, client: str
) -> None:
    assert ProxyTrust(hops, PRIVATE).client(peer, forwarded) == client


@given(st.text(max_size=60), st.integers(-2, 4))
def test_no_header_invents_an_address(forwarded: str, hops: int) -> None:
    """What a client writes to the left of the proxies' entries never counts."""
    trust = ProxyTrust(hops, PRIVATE)
    believed = trust.client("10.0.0.1", f"{forwarded},203.0.113.7")
    assert believed == "203.0.113.7"
    assert trust.client("203.0.113.9", forwarded) == "203.0.113.9"


async def test_every_line_of_the_header_counts(
    serve: Serve, make_plugin: Any, raw_http: Any
) -> None:
    """Some proxies add a line of their own below a forged one."""
    async with serve(make_plugin("door", routes=[route("/api/ip")])) as server:
        request = (
            b"GET /api/ip HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 6.6.6.6\r\n"
            b"x-forwarded-for: 203.0.113.7\r\nconnection: close\r\n\r\n"
        )
        assert b'{"ip":"203.0.113.7"}' in await raw_http(server.url, request)


@pytest.mark.parametrize(
    ("environment", "client"),
    [
        ({}, "203.0.113.7"),
        ({"TRUST_PROXY": "0"}, "203.0.113.7"),
        ({"TRUST_PROXY": "true"}, "203.0.113.7"),
        ({"TRUST_PROXY": "2", "LOCUTORY_TRUSTED_PROXIES": "127.0.0.0/8,203.0.113.7"}, "6.6.6.6"),
        ({"LOCUTORY_TRUSTED_PROXIES": "10.0.0.0/8"}, "127.0.0.1"),
    ],
)
async def test_trust_is_a_setting(
    serve: Serve, make_plugin: Any, environment: dict[str, str], client: str
) -> None:
    plugin = make_plugin("door", routes=[route("/api/ip")])
    async with serve(plugin, environment=environment) as server:
        headers = {"x-forwarded-for": "6.6.6.6, 203.0.113.7"}
        assert (await server.client.get("/api/ip", headers=headers)).json() == {"ip": client}


async def test_redis_down_is_503(serve: Serve, make_plugin: Any, own_redis: Any) -> None:
    url, process = own_redis
    environment = {"USE_REDIS": "true", "REDIS_URI": url}
    plugin = make_plugin("door", routes=[route("/api/door", Limit("down", 9, 60, BODY))])
    async with serve(plugin, environment=environment) as server:
        assert (await server.client.get("/api/door")).status_code == 200
        process.terminate()
        process.wait(PATIENCE)
        answer = await server.client.get("/api/door")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
