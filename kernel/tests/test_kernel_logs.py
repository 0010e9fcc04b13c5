"""Logs: readable or JSON, and without secrets."""

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from locutory_httpserver.logs import is_secret, mask_secrets


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "JWT_SECRET",
        "refreshToken",
        "OPENAI_API_KEY",
        "apiKey",
        "api-key",
        "authorization",
        "set-cookie",
        "CREDS_KEY",
        "private_key",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["user", "tokens", "token_count", "key", "author", "seconds"])
def test_names_of_other_things(name: str) -> None:
    assert not is_secret(name)


def test_secrets_are_masked_at_any_depth() -> None:
    event: dict[str, Any] = {
        "event": "x",
        "password": "hunter2",
        "headers": {"Authorization": "Bearer x", "accept": "*/*"},
        "items": [{"token": "x", "name": "n"}, ("a", {"secret": "x"})],
        "uri": "mongodb://user:hunter2@db:27017/x and redis://:pw@r:1",
        "plain": "https://example.com/@user",
        "count": 3,
    }
    assert mask_secrets(None, "info", event) == {
        "event": "x",
        "password": "***",
        "headers": {"Authorization": "***", "accept": "*/*"},
        "items": [{"token": "***", "name": "n"}, ["a", {"secret": "***"}]],
        "uri": "mongodb://***@db:27017/x and redis://***@r:1",
        "plain": "https://example.com/@user",
        "count": 3,
    }


SCRIPT = """
import logging, sys
import structlog
from locutory_httpserver.logs import set_up_logs
set_up_logs(json="json" in sys.argv, debug="debug" in sys.argv, quiet="quiet" in sys.argv)
log = structlog.get_logger("locutory.shop", plugin="shop")
structlog.contextvars.bind_contextvars(request_id="r1")
log.debug("fine.detail", n=1)
log.info("shop.open", zebra=1, door="front", token="hunter2")
def work(password):
    message = "what the user wrote"
    raise ValueError("out of order")
try:
    work("hunter2")
except ValueError:
    log.exception("shop.failed", odd=object)
logging.getLogger("library").warning("a library warns")
logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
logging.getLogger("uvicorn.error").error("ASGI callable returned without completing response.")
logging.getLogger("uvicorn.error").error("worth knowing")
"""


def test_lines_of_a_process() -> None:
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    checks = {"": readable, "json debug": json_lines, "quiet": quiet}
    running = [
        (check, subprocess.Popen([*command, *words.split()], **pipes))  # type: ignore[call-overload]
        for words, check in checks.items()
    ]
    for check, process in running:
        out, err = process.communicate(timeout=60)
        assert (out, process.returncode) == ("", 0)
        check(err)


def readable(text: str) -> None:
    assert "fine.detail" not in text
    (line,) = [line for line in text.splitlines() if "shop.open" in line]
    assert line.index("zebra=1") < line.index("door=front")
    assert "plugin=shop" in line
    assert "request_id=r1" in line
    assert "ValueError: out of order" in text
    assert "a library warns" in text
    assert "worth knowing" in text
    assert "Invalid HTTP" not in text
    assert "ASGI callable" not in text
    assert "hunter2" not in text
    assert "what the user wrote" not in text.replace('message = "what the user wrote"', "")


def json_lines(text: str) -> None:
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert [line["event"] for line in lines] == ["fine.detail", "shop.open", "shop.failed"]
    assert lines[1]["token"] == "***"
    assert lines[1]["level"] == "info"
    assert lines[1]["timestamp"].endswith("Z")
    assert lines[2]["exception"][0]["exc_type"] == "ValueError"
    assert "hunter2" not in text
    assert "what the user wrote" not in text


def quiet(text: str) -> None:
    assert "shop.open" not in text
    assert "shop.failed" in text
