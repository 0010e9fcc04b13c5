"""Steps of a program that uses a client package; each prints one line of JSON."""

import asyncio
import inspect
import json
import os
import traceback
import urllib.request
from typing import Any

BASE, KEY = os.environ["CLIENTS_BASE"], os.environ["CLIENTS_KEY"]
AGENT, SLOW = os.environ["CLIENTS_AGENT"], os.environ["CLIENTS_SLOW"]
WEATHER = 'CALL:server_weather:{"city":"Rome"}'
"""The agent's model calls a tool that the server has."""
SUNNY = "it says: sunny in Rome"


def look() -> dict[str, Any]:
    """What the provider was asked last, how often, and how many answers it is making."""
    with urllib.request.urlopen(os.environ["CLIENTS_PROVIDER"] + "/look") as answer:  # noqa: S310
        told: dict[str, Any] = json.load(answer)
        return told


def got() -> list[list[str]]:
    """Role and text of each message that the provider got last."""
    return [[message["role"], message["content"]] for message in look()["last"]["messages"]]


def step(function: Any = None, *, raises: Any = ()) -> Any:
    """Run a function at once. ``raises``: what the client has to raise."""
    if function is None:
        return lambda wrapped: step(wrapped, raises=raises)
    told = {"step": function.__name__, "ok": not raises}
    try:
        outcome = function()
        if inspect.iscoroutine(outcome):
            asyncio.run(outcome)
    except raises as error:
        told |= {"ok": True, "raised": type(error).__name__}
    except Exception:
        told |= {"ok": False, "error": traceback.format_exc()[-3000:]}
    print(json.dumps(told), flush=True)
    return function
