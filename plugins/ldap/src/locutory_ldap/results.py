"""The results of a directory in words for the log."""

import re
from collections.abc import Mapping
from typing import Any

INVALID_CREDENTIALS = 49
POLICY = "1.3.6.1.4.1.42.2.27.8.5.1"
"""The control of password policies (draft-behera-ldap-password-policy), asked for at a bind."""

_MUST_CHANGE = "2.16.840.1.113730.3.4.4"
"""Netscape's control for the same, which servers send unasked."""

_DATA = re.compile(r"\bdata ([0-9a-fA-F]{2,8})\b")
_ACTIVE_DIRECTORY = {
    "525": "the directory does not know the person",
    "52e": "password",
    "52f": "restrictions of the account keep the person out",
    "530": "the person may not sign in at this hour",
    "531": "the person may not sign in from this computer",
    "532": "the password has expired",
    "533": "the account is disabled",
    "534": "the person lacks the right to sign in in this way",
    "701": "the account has expired",
    "773": "the password must be changed first",
    "775": "the account is locked",
}
_CHANGE_AFTER_RESET = 2
_POLICY_ERRORS = {
    0: "the password has expired",
    1: "the account is locked",
    _CHANGE_AFTER_RESET: "the password must be changed first",
}
_ERROR_TAG = 0x81
_LONGEST = 200


def said(result: Mapping[str, Any]) -> str:
    """The directory's response to a request: the name of its result and its message."""
    own = " ".join(str(result.get("message") or "").replace("\0", "").split())[:_LONGEST]
    name = str(result.get("description"))
    return f"{name}: {own}" if own else name


def refused_bind(result: Mapping[str, Any]) -> str:
    """The reason why a name and a password were refused."""
    if result.get("result") != INVALID_CREDENTIALS:
        return said(result)
    found = _DATA.search(str(result.get("message") or ""))
    if found is not None:
        code = found[1].lower()
        return f"{_ACTIVE_DIRECTORY.get(code, said(result))} (data {code})"
    error = _policy_error(result)
    return "password" if error is None else _POLICY_ERRORS.get(error, f"password policy: {error}")


def must_change(result: Mapping[str, Any]) -> bool:
    """``True`` when the password was accepted, but must be changed."""
    return _MUST_CHANGE in (result.get("controls") or ()) or (
        _policy_error(result) == _CHANGE_AFTER_RESET
    )


def _policy_error(result: Mapping[str, Any]) -> int | None:
    """The error in an answer of `POLICY`: a sequence of a warning and an error, in BER."""
    control = (result.get("controls") or {}).get(POLICY)
    value = control.get("value") if isinstance(control, Mapping) else None
    if not isinstance(value, bytes):
        return None
    at = 2
    while at + 2 < len(value):
        tag, length = value[at], value[at + 1]
        if tag == _ERROR_TAG:
            return int.from_bytes(value[at + 2 : at + 2 + length], "big")
        at += 2 + length
    return None
