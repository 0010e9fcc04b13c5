"""Mails from templates.

A template is HTML or plain text with ``{{name}}`` in it, replaced from a table; there is no
logic, so nothing that a user typed can be anything but text. ``verifyEmail.html`` and
``verifyEmail.txt`` belong together; a file of the deployment's own folder goes first.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

VARIABLES: dict[str, frozenset[str]] = {
    "verifyEmail": frozenset({"appName", "name", "verificationLink", "year"}),
    "requestPasswordReset": frozenset({"appName", "name", "link", "year"}),
    "passwordReset": frozenset({"appName", "name", "year"}),
    "inviteUser": frozenset({"appName", "inviteLink", "year"}),
}
"""Templates, and the names that each may contain."""

_SLOT = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class MailMessage:
    """A mail to one person, ready to be sent. ``name`` may be empty."""

    address: str
    name: str
    subject: str
    text: str
    html: str


@cache
def _built_in(file: str) -> str:
    return files("locutory_auth.mail").joinpath("templates", file).read_text("utf-8")


class Templates:
    """The templates of one deployment.

    Args:
        folder: files that replace built-in ones of the same name; read at each use, so a
            change needs no restart.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def render(self, template: str, values: Mapping[str, str]) -> tuple[str, str]:
        """Text and HTML; in HTML every value is escaped. Names without a value vanish."""
        flat = {key: _CONTROL.sub(" ", value) for key, value in values.items()}
        safe = {key: html.escape(value) for key, value in flat.items()}
        text = _fill(self._source(f"{template}.txt"), flat)
        return text, _fill(self._source(f"{template}.html"), safe)

    def _source(self, file: str) -> str:
        own = None if self._folder is None else self._folder / file
        if own is not None and own.is_file():
            return own.read_text("utf-8")
        return _built_in(file)

    def problems(self) -> list[str]:
        """The problems of the deployment's folder, a sentence each."""
        if self._folder is None:
            return []
        if not self._folder.is_dir():
            return [f"the folder {self._folder} does not exist"]
        found = []
        for template, known in VARIABLES.items():
            for kind in ("html", "txt"):
                path = self._folder / f"{template}.{kind}"
                if not path.is_file():
                    continue
                try:
                    named = set(_SLOT.findall(path.read_text("utf-8")))
                except (OSError, UnicodeDecodeError) as error:
                    found.append(f"{path.name} cannot be read: {error}")
                    continue
                unknown = sorted(named - known)
                if unknown:
                    found.append(
                        f"{path.name} names {', '.join(unknown)}; known are "
                        f"{', '.join(sorted(known))}"
                    )
        return found


def _fill(source: str, values: Mapping[str, str]) -> str:
    return _SLOT.sub(lambda slot: values.get(slot[1], ""), source)
