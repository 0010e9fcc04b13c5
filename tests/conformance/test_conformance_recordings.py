"""The recorded exchanges of a real LibreChat, played against a server of ours."""

import pytest

from tests.conformance import play

# Differences that are upstream's own faults, each with its reason.
EXPLAINED = {
    "chat-titled-stream": "upstream stores the title's token count as that of the answer",
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


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_recorded_exchanges_are_answered_alike() -> None:
    """The whole scenario runs through without a 5xx of ours; our groups differ nowhere."""
    if not (play.KIT / "run.py").exists():
        pytest.skip("the conformance kit is not beside the repository (CONFORMANCE_KIT)")
    outcome = play.play(())
    mine = [verdict for verdict in outcome.verdicts if verdict["group"] in GROUPS]
    assert mine, outcome.text
    wrong = [
        verdict
        for verdict in mine
        if verdict["outcome"] in ("differs", "not reached") and verdict["name"] not in EXPLAINED
    ]
    assert not wrong, outcome.text
    assert "http.failed" not in outcome.log, outcome.log


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_limits_and_bans_are_answered_alike() -> None:
    """On a server with LibreChat's documented limits."""
    if not (play.KIT / "run.py").exists():
        pytest.skip("the conformance kit is not beside the repository (CONFORMANCE_KIT)")
    outcome = play.play(("limits",))
    assert {verdict["group"] for verdict in outcome.verdicts} == {"limits"}, outcome.text
    wrong = [
        verdict
        for verdict in outcome.verdicts
        if verdict["outcome"] in ("differs", "not reached")
        and not (
            verdict["name"] in OUTNUMBERED and OUTNUMBERED[str(verdict["name"])] in outcome.text
        )
    ]
    assert not wrong, outcome.text
    assert "http.failed" not in outcome.log, outcome.log
