"""Our readers of YAML and ``.env`` against the libraries that LibreChat reads them with."""

import json
import math
import random
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.oracle.node import MODULES, node

from locutory_configfile import Unreadable, read_env, read_yaml

PROGRAM = """
import { readFileSync } from 'node:fs';
import yaml from 'js-yaml';
import dotenv from 'dotenv';
const [documents, files] = JSON.parse(readFileSync(0));
const odd = (key, value) => typeof value === 'number' && !isFinite(value) ? `number ${value}` : value;
const load = (text) => { try { return JSON.stringify(yaml.load(text) ?? null, odd); } catch { return 'refused'; } };
console.log(JSON.stringify([documents.map(load), files.map((text) => dotenv.parse(text))]));
"""

VALUES = [
    "0",
    "1",
    "010",
    "-3",
    "+5",
    "0x1F",
    "0o17",
    "0b11",
    "0b2",
    "0x",
    "1_000",
    "5_",
    "1e3",
    "1e",
    "1e400",
    ".5",
    "-.5",
    "+.5",
    "5.",
    "1.0",
    "08.5",
    "09",
    ".inf",
    "-.inf",
    ".nan",
    "~",
    "null",
    "Null",
    "yes",
    "No",
    "on",
    "off",
    "y",
    "true",
    "TRUE",
    "tRue",
    "12:30",
    "190:20:30",
    "2024-10-21",
    "2024-1-2",
    "1.2.3",
    "=",
    "<<",
    "''",
    "'it''s'",
    "a#b",
    "a\\b",
    "x:y",
    "99999999999",
    "123e-7",
    "!!str*5",
    "!foo",
    "1.",
    "-",
    "[1,2,]",
    "{a:*1,*b:*[x,y]}",
    "{a:*1,*a:*2}",
    "&x*1",
    "*x",
    "|*x",
    "2024-01-02*10:11:12",
    "2001-12-14t21:59:43.10-05:00",
    "http://x:80/y",
    "@x",
    "%x",
    '"a\\nb"',
    "a:*b",
]
KEYS = ["a", "b", "c", "d", "1", "1.0", "0x10", "yes", "true", "null", "- x", "'q'", "<<", "1e3"]
PIECES = ["A", "B", "AB", "=", "=", "=", " ", "'", '"', "`", "#", "\n", "\n", "\\n", "\\'", "x y"]
PIECES += ["${A}", "export ", ":", "\t", "\r\n", "=x\n"]


def documents(chance: random.Random) -> list[str]:
    """Small files of keys and values that are read in several ways, or by some only."""
    made = []
    for _ in range(1500):
        lines = []
        for number in range(chance.randint(1, 5)):
            indent = "  " * chance.choice([0, 0, 0, 1]) if number else ""
            lines.append(
                f"{indent}{chance.choice(KEYS)}: {chance.choice(VALUES).replace('*', ' ')}"
            )
        made.append("\n".join(lines) + "\n")
    letters = "0123456789+-.eExob_infINaN:TZ ~"
    scalars = ("".join(chance.choices(letters, k=chance.randint(1, 9))) for _ in range(1500))
    return [*made, *(f"a: {text}\n" for text in scalars)]


def plain(value: Any) -> Any:
    """A value as `PROGRAM` prints it."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"
    if isinstance(value, float) and not math.isfinite(value):
        sign = "-" if value < 0 else ""
        return "number NaN" if math.isnan(value) else f"number {sign}Infinity"
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    if not (MODULES / "dotenv").exists():
        pytest.skip("js-yaml and dotenv are not installed; make test installs them")
    chance = random.Random(8)
    texts = documents(chance)
    files = ["".join(chance.choices(PIECES, k=chance.randint(1, 14))) for _ in range(5000)]
    folder: Path = tmp_path_factory.mktemp("oracle")
    (folder / "node_modules").symlink_to(MODULES)
    (folder / "read.mjs").write_text(PROGRAM, "utf-8")
    done = subprocess.run(
        [node(), "read.mjs"],
        cwd=folder,
        input=json.dumps([texts, files]),
        capture_output=True,
        text=True,
        check=True,
    )
    read, parsed = json.loads(done.stdout)
    return list(zip(texts, read, strict=True)), list(zip(files, parsed, strict=True))


def test_yaml_means_what_it_means_to_librechat(answers: Any) -> None:
    """What both read is the same. We refuse a little more, never less: but for explicit tags
    on nothing (``!!int``)."""
    both = 0
    for text, theirs in answers[0]:
        try:
            ours = plain(read_yaml(text)[0])
        except Unreadable:
            continue
        assert theirs != "refused", text
        assert ours == json.loads(theirs), text
        both += 1
    assert both > 1500


def test_a_file_of_variables_means_what_it_means_to_librechat(answers: Any) -> None:
    for text, theirs in answers[1]:
        assert read_env(text).values == theirs, text
