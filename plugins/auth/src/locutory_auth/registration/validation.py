"""Validation of sign-in and registration forms, with the texts of the contract (auth §2, §6):
``path: text`` for each problem, joined by a space."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import regex

LONGEST_PASSWORD = 128

_LOCAL_PART = r"(?!\.)(?!.*\.\.)[\w'+.-]*[\w+-]"
_EMAIL = re.compile(rf"{_LOCAL_PART}@(?:[a-z0-9][a-z0-9-]*\.)+[a-z]{{2,}}", re.I | re.A)

_SCRIPTS = (
    "Latin",
    "Common",
    "Cyrillic",
    "Devanagari",
    "Han",
    "Arabic",
    "Hiragana",
    "Katakana",
    "Hangul",
)
_USERNAME = regex.compile("[{}]+".format("".join(rf"\p{{Script={name}}}" for name in _SCRIPTS)))
_SUSPICIOUS = ("'", "--", "$ne", "$gt", "$lt", "$or", "{", "}", "*", ";", "<", ">", "/", "=")

_KINDS = ((bool, "boolean"), ((int, float), "number"), (str, "string"), (list, "array"))


@dataclass(frozen=True, slots=True)
class RegistrationInput:
    """A registration that passed; ``email`` and ``username`` are in lower case."""

    name: str
    username: str | None
    email: str
    password: str


class Problems:
    """Problems found so far. ``unreadable``: a member has the wrong type, so checks across
    members make no sense."""

    def __init__(self) -> None:
        self.items: list[str] = []
        self.unreadable = False

    def add(self, path: str, text: str) -> None:
        self.items.append(f"{path}: {text}")

    def __str__(self) -> str:
        return " ".join(self.items)


def is_missing(value: Any) -> bool:
    """``True`` for a member that JavaScript treats as not given. An empty object or list is
    given."""
    return value is None or value is False or value in ("", 0)


def login_problems(body: Mapping[str, Any], shortest: int) -> str:
    """The problems of ``email`` and ``password``; "" without any."""
    problems = Problems()
    _email(problems, body.get("email", _ABSENT))
    _password(problems, "password", body.get("password", _ABSENT), shortest)
    return str(problems)


def read_registration(body: Mapping[str, Any], shortest: int) -> RegistrationInput | str:
    """The registration in a request body, or the text of its problems. Other members of the body
    are ignored, so nobody can choose a role."""
    problems = Problems()
    name = _text(problems, "name", body.get("name", _ABSENT))
    if name is not None:
        _length(problems, "name", name, 3, 80)
    username = body.get("username", "")
    if username is not None and username != "":
        _username(problems, username)
    email = _email(problems, body.get("email", _ABSENT))
    password = _password(problems, "password", body.get("password", _ABSENT), shortest)
    again = _password(problems, "confirm_password", body.get("confirm_password", _ABSENT), shortest)
    if not problems.unreadable and password != again:
        problems.add("", "The passwords did not match")
    if problems.items or name is None or email is None or password is None:
        return str(problems)
    # Absent and empty differ in what is stored, as in LibreChat: "" and null.
    stored = username.lower() if username else ("" if "username" not in body else None)
    return RegistrationInput(name, stored, email.lower(), password)


def new_password_problems(body: Mapping[str, Any], shortest: int) -> str:
    """The problems of ``password`` and, where it is there, ``confirm_password``."""
    problems = Problems()
    password = _password(problems, "password", body.get("password", _ABSENT), shortest)
    again = body.get("confirm_password")
    if password is not None and again is not None and again != password:
        problems.add("", "The passwords did not match")
    return str(problems)


def email_problems(email: str) -> str:
    """The problems of an e-mail address; "" without any."""
    problems = Problems()
    _email(problems, email)
    return str(problems)


class _Absent:
    """Represents a member that the body does not have."""


_ABSENT = _Absent()


def _text(problems: Problems, path: str, value: Any) -> str | None:
    if isinstance(value, str):
        return value
    problems.unreadable = True
    if isinstance(value, _Absent):
        problems.add(path, "Required")
        return None
    kind = "null" if value is None else "object"
    for types, name in _KINDS:
        if isinstance(value, types):
            kind = name
            break
    problems.add(path, f"Expected string, received {kind}")
    return None


def _length(problems: Problems, path: str, value: str, minimum: int, maximum: int) -> None:
    # Browsers count UTF-16 units, and so do the rules.
    units = len(value.encode("utf-16-le")) // 2
    if units < minimum:
        problems.add(path, f"String must contain at least {minimum} character(s)")
    if units > maximum:
        problems.add(path, f"String must contain at most {maximum} character(s)")


def _email(problems: Problems, value: Any) -> str | None:
    email = _text(problems, "email", value)
    # 254 is the longest address that mail can be sent to.
    if email is not None and (len(email) > 254 or not _EMAIL.fullmatch(email)):
        problems.add("email", "Invalid email")
    return email


def _password(problems: Problems, path: str, value: Any, shortest: int) -> str | None:
    password = _text(problems, path, value)
    if password is not None:
        _length(problems, path, password, shortest, LONGEST_PASSWORD)
        if not password.strip():
            problems.add(path, "Password cannot be only spaces")
    return password


def _username(problems: Problems, value: Any) -> None:
    if not isinstance(value, str):
        problems.unreadable = True
        problems.add("username", "Invalid input")
        return
    _length(problems, "username", value, 2, 80)
    if not _USERNAME.fullmatch(value):
        problems.add("username", "Invalid characters in username")
    lowered = value.lower()
    if any(part in lowered for part in _SUSPICIOUS):
        problems.add("username", "Potential injection attack detected")
