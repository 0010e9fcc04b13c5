"""The recorded exchanges of a real LibreChat, played against a server of ours."""

from collections.abc import Iterable
from typing import Any

import pytest

from tests.conformance import play

Verdict = dict[str, Any]

# Differences that are upstream's own faults, each with its reason.
NO_USAGE = "upstream tells programs no usage of a custom endpoint, although it is charged for"
EXPLAINED = {
    "chat-titled-stream": "upstream stores the title's token count as that of the answer",
    "remote-agents-chat-stream": NO_USAGE,
    "remote-agents-responses": NO_USAGE,
}
# What is offered only while a plugin serves it, which the recorded deployment had in full: the
# places that may differ, and those that the kit accepts anyway.
_ROLE = tuple(
    f"$.permissions.{kind}"
    for kind in ("RUN_CODE", "WEB_SEARCH", "FILE_SEARCH", "FILE_CITATIONS", "MCP_SERVERS", "SKILLS")
)
OFFERED = {
    "endpoints": ("$.agents.capabilities",),
    "config-authenticated": ("$.interface.mcpServers",),
    "roles-user": (*_ROLE, "$._id", "$.__v"),
    "roles-admin": (*_ROLE, "$._id", "$.__v"),
}
# The four programs before it are answered here, and two of their turns may still run.
OUTNUMBERED = {"after-violations-chat": "status: differs  golden 200 · actual 429"}
# Those of what is built; of the others only that nothing fails.
GROUPS = (
    "prelude",
    "boot",
    "auth",
    "user",
    "twofactor",
    "settings",
    "keys",
    "apikeys",
    "permissions",
    "agents",
    "chat",
    "convos",
    "convoedit",
    "messages",
    "tags",
    "presets",
    "prompts",
    "projects",
    "share",
    "memories",
    "edge",
    "deletes",
)


def wrong(verdicts: Iterable[Verdict], *without: str) -> list[Verdict]:
    """Those of our groups that differ where they may not; ``without`` names groups and exchanges
    that are left out."""
    return [
        verdict
        for verdict in verdicts
        if verdict["group"] in GROUPS
        and verdict["outcome"] in ("differs", "not reached")
        and not {verdict["name"], verdict["group"]} & {*without, *EXPLAINED}
        and not _only_offers(verdict)
    ]


def _only_offers(verdict: Verdict) -> bool:
    places = OFFERED.get(verdict["name"], ())
    differences = verdict["differences"]
    return bool(differences) and all(text.startswith(places) for text in differences)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_recorded_exchanges_are_answered_alike() -> None:
    """The whole scenario runs through without a 5xx of ours; our groups differ nowhere."""
    if not (play.KIT / "run.py").exists():
        pytest.skip("the conformance kit is not beside the repository (CONFORMANCE_KIT)")
    outcome = play.play(())
    assert {verdict["group"] for verdict in outcome.verdicts} >= set(GROUPS), outcome.text
    assert not wrong(outcome.verdicts), outcome.text
    assert "http.failed" not in outcome.log, outcome.log


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_limits_and_bans_are_answered_alike() -> None:
    """On a server with LibreChat's documented limits."""
    if not (play.KIT / "run.py").exists():
        pytest.skip("the conformance kit is not beside the repository (CONFORMANCE_KIT)")
    outcome = play.play(("limits",))
    assert {verdict["group"] for verdict in outcome.verdicts} == {"limits"}, outcome.text
    differing = [
        verdict
        for verdict in outcome.verdicts
        if verdict["outcome"] in ("differs", "not reached")
        and not (
            verdict["name"] in OUTNUMBERED and OUTNUMBERED[str(verdict["name"])] in outcome.text
        )
    ]
    assert not differing, outcome.text
    assert "http.failed" not in outcome.log, outcome.log
