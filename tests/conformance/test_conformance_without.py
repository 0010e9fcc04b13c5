"""With each plugin switched off in turn, everything else goes on as a real LibreChat does."""

import json
from pathlib import Path

import pytest

from locutory.plugins import discovery
from tests.conformance import play
from tests.conformance.test_conformance_recordings import wrong

# Without these nobody chats or signs in: what remains is that the server runs and says so.
FOUNDATIONS = ("agents", "auth", "conversations", "endpoints")

# What needs a plugin: groups of exchanges, and single exchanges of others. None needs those that
# are not named.
NEEDS: dict[str, tuple[str, ...]] = {
    "agentbuilder": (
        "agents",
        "endpoints",  # nowhere to build any
        "agent-share",
        "agent-permissions-effective",
        "agent-create-admin",
        "remote-agents-chat-stream",
        "remote-agents-responses",
        "agent-delete",
        # One conversation less, so another count.
        "convos-archive-all",
        "convos-delete-all",
    ),
    "agentsapi": ("apikeys",),
    "memories": ("memories", "endpoints"),  # a capability less
    "oauth": ("config-anonymous", "config-authenticated"),  # no buttons
    # Hidden; and its route is the one to which bad bodies are sent: those of unknown paths are
    # not parsed.
    "presets": ("presets", "config-authenticated", "bad-json", "body-too-large-413"),
    "projects": ("projects",),
    "prompts": ("prompts",),
    "roles": ("permissions", "config-authenticated"),  # no picker of people
    "share": ("share", "config-anonymous", "config-authenticated"),  # nothing to share
    "tags": ("tags", "project-assign"),  # the conversation shown has no bookmark
    "users": ("user", "settings", "user-delete", "user-after-delete"),
    # It also answers for what nobody else does.
    "webclient": (
        "boot",
        "graph-token",
        "speech-config",
        "tts-voices",
        "agents-tools-web-search-auth",
        "agents-tools-execute-code-auth",
        "agents-tool-calls",
    ),
}


def test_only_plugins_are_named() -> None:
    assert {*NEEDS, *FOUNDATIONS} <= set(discovery.available())


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("plugin", sorted(discovery.available()))
def test_the_rest_goes_on_without(plugin: str, tmp_path: Path) -> None:
    if not (play.KIT / "run.py").exists():
        pytest.skip("the conformance kit is not beside the repository (CONFORMANCE_KIT)")
    outcome = play.play((), more=f"plugins: {json.dumps({'disabled': [plugin]})}")
    assert len(outcome.verdicts) > 100, outcome.text
    assert "http.failed" not in outcome.log, outcome.log
    if plugin in FOUNDATIONS:
        return
    assert not wrong(outcome.verdicts, *NEEDS.get(plugin, ())), outcome.text
