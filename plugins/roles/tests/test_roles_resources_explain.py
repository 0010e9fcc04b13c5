"""Explaining decisions, and the command that prints them."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from bson import ObjectId

from locutory import (
    POLICY,
    Access,
    ApiKey,
    Can,
    Capability,
    OptionalUser,
    Principal,
    Public,
    SignedIn,
)
from locutory.config.configuration import Sources
from locutory.run.kernel import Kernel
from locutory_contracts.access import OWNER, SHARE, VIEW
from locutory_roles.resources.commands import answer
from locutory_roles.resources.explain import Step, Subject, explain
from locutory_testing.database import Databases
from locutory_testing.server import SECRETS

ME = "a" * 24
USER = Principal(id=ME, account={"_id": ObjectId(ME)})
ADMIN = Principal(id="b" * 24, role="ADMIN")
KEY = Principal(id=ME, scopes=frozenset({"agents"}))


async def why(
    s: Any, principal: Principal | None, access: Access, subject: Subject | None = None
) -> list[Step]:
    policy = s.server.kernel.services.get(POLICY)
    return await explain(principal, access, policy, s.access, subject)


ROUTES: list[Any] = [
    (None, Public("the login page"), True, "open to anybody", "the login page"),
    (None, OptionalUser("links"), True, "open to anybody", "links"),
    (None, SignedIn(), False, "signed in", "not signed in"),
    (USER, SignedIn(), True, "signed in", f"user {ME} with role USER"),
    (
        USER,
        Can("PROMPTS", "USE"),
        True,
        "permission PROMPTS.USE",
        "role USER has PROMPTS.USE",
    ),
    (
        USER,
        Can("PROMPTS", "SHARE"),
        False,
        "permission PROMPTS.SHARE",
        "role USER lacks PROMPTS.SHARE",
    ),
    (None, Can("PROMPTS", "USE"), False, "permission PROMPTS.USE", "not signed in"),
    (
        ADMIN,
        Capability("manage:roles"),
        True,
        "capability manage:roles",
        "role ADMIN holds manage:roles",
    ),
    (
        USER,
        Capability("manage:roles"),
        False,
        "capability manage:roles",
        "neither the user nor role USER nor a group holds manage:roles",
    ),
    (None, Capability("manage:roles"), False, "capability manage:roles", "not signed in"),
    (
        USER,
        ApiKey("agents"),
        False,
        "API key with scope agents",
        "a session is not enough: an API key is needed",
    ),
    (KEY, ApiKey("agents"), True, "API key with scope agents", "the key has this scope"),
    (KEY, ApiKey("files"), False, "API key with scope files", "the key lacks this scope"),
]


async def test_routes(stage: Any) -> None:
    async with stage() as s:
        for principal, access, allowed, question, reason in ROUTES:
            [step] = await why(s, principal, access)
            assert (step.question, step.decision.reason) == (question, reason)
            assert step.decision.allowed is allowed


async def test_objects(stage: Any) -> None:
    async with stage() as s:
        resource = await s.owned("agent", ME)
        subject = Subject("agent", resource, SHARE)
        route, held = await why(s, USER, Can("AGENTS", "USE"), subject)
        assert route.decision
        assert held.question == f"rights on agent {resource}"
        assert held.decision.reason == (
            f"entry of agent {resource}: user {ME} may view, edit, delete, share"
        )
        [only] = await why(s, USER, Can("AGENTS", "SHARE"), subject)
        assert not only.decision, "nothing is asked after a refusal"
        stranger = Principal(id="c" * 24, account={"_id": ObjectId("c" * 24)})
        _, refused = await why(s, stranger, SignedIn(), Subject("agent", resource, VIEW))
        assert refused.decision.reason.startswith("no entry of agent")
        _, anonymous = await why(s, None, Public("x"), Subject("agent", resource, VIEW))
        assert anonymous.decision.reason == "not signed in"
        _, opened = await why(s, ADMIN, SignedIn(), Subject("agent", resource, OWNER))
        assert opened.decision.reason.startswith("role ADMIN holds manage:agents")


def fresh(s: Any) -> Kernel:
    """A kernel like the stage's that has not been started."""
    plugins = [type(plugin)() for plugin in s.server.kernel.plugins]
    return Kernel(
        Sources({**SECRETS, "MONGO_URI": s.server.kernel.config.mongo_uri}, {}),
        plugins,
        installed=[plugin.name for plugin in plugins],
    )


async def test_what_the_command_prints(stage: Any, capsys: pytest.CaptureFixture[str]) -> None:
    async with stage() as s:
        owner, stranger = await s.person("Olga"), await s.person("Stan")
        await s.person("Adam", role="ADMIN")
        resource = await s.owned("agent", owner)
        shared = f"/api/permissions/agent/{resource}"
        for user, method, path, subject, code, line in (
            (
                owner,
                "PUT",
                "/api/roles/USER/prompts",
                None,
                1,
                "refused  capability manage:roles: neither the user",
            ),
            (
                "adam@example.com",
                "PUT",
                "/api/roles/USER/prompts?x=1",
                None,
                0,
                "allowed  capability manage:roles: role ADMIN holds manage:roles",
            ),
            ("OLGA@example.com", "GET", shared, None, 0, "may view, edit, delete, share"),
            (stranger, "GET", shared, None, 1, f"refused  rights on agent {resource}: no entry"),
            ("anonymous", "GET", shared, None, 1, "refused  signed in: not signed in"),
            (
                stranger,
                "GET",
                "/api/roles/USER",
                Subject("agent", resource, VIEW),
                1,
                f"refused  rights on agent {resource}",
            ),
            (
                owner,
                "GET",
                "/api/roles/USER",
                Subject("agent", resource, VIEW | SHARE),
                0,
                f"allowed  rights on agent {resource}",
            ),
        ):
            capsys.readouterr()
            assert await answer(fresh(s), user, method, path, subject) == code
            printed = click.unstyle(capsys.readouterr().out)
            assert f"{method} /api/" in printed
            assert "(roles)" in printed
            assert line in printed


async def test_what_the_command_refuses(stage: Any) -> None:
    async with stage() as s:
        owner = await s.person("Olga")
        for user, method, path, text in (
            (owner, "GET", "/api/nowhere", "no route serves GET /api/nowhere"),
            (owner, "BREW", "/api/roles/USER", "no route serves BREW"),
            ("f" * 24, "GET", "/api/roles/USER", "no account"),
            ("nobody@example.com", "GET", "/api/roles/USER", "no account"),
        ):
            with pytest.raises(click.BadParameter, match=text):
                await answer(fresh(s), user, method, path)


async def locutory(folder: Path, uri: str, *words: str) -> tuple[int, str]:
    """Run the command line with only this plugin on; returns exit code and output."""
    (folder / "librechat.yaml").write_text("plugins:\n  enabled: [roles]\n")
    environment = {
        **os.environ,
        **SECRETS,
        "MONGO_URI": uri,
        "LOCUTORY_DATA_DIR": str(folder / "data"),
    }
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("locutory")),
        *("access", "explain", *words),
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_the_command_line(databases: Databases, tmp_path: Path) -> None:
    name = f"explain_{tmp_path.name}"
    async with databases.opened(name):
        pass  # now it is there
    for words, code, text in (
        (("anonymous", "get", "/api/roles/USER"), 1, "refused  signed in: not signed in"),
        (("anonymous", "GET", "/nowhere"), 2, "no route serves GET /nowhere"),
        (("anonymous", "GET", "/api/roles/USER", "--resource", "agent"), 2, "write TYPE:ID"),
        (("anonymous", "GET", "/api/roles/USER", "--right", "fly"), 2, "fly"),
    ):
        done = await locutory(tmp_path, databases.address(name), *words)
        assert done[0] == code, done[1]
        assert text in done[1]
