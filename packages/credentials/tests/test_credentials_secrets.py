"""The four secrets: where they come from, and the record of a database's secrets."""

import hashlib
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from locutory import Database
from locutory.data.database import open_database
from locutory.settings import KernelConfig
from locutory_credentials import (
    COLLECTION,
    FILE,
    Credentials,
    SecretsUnusable,
    load_credentials,
    record_fingerprints,
)
from locutory_testing.database import Databases

GIVEN = {
    "CREDS_KEY": "AB" * 32,
    "CREDS_IV": "cd" * 16,
    "JWT_SECRET": "short one",
    "JWT_REFRESH_SECRET": "another",
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory without a ``.env.temp``."""
    monkeypatch.chdir(tmp_path)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_environment_comes_first_and_nothing_is_written(tmp_path: Path) -> None:
    assert load_credentials(GIVEN, tmp_path / "data") == Credentials(
        "short one", "another", b"\xab" * 32, b"\xcd" * 16
    )
    assert not (tmp_path / "data").exists()


def test_blank_ones_are_made_once_and_kept_private(tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    first = load_credentials({"JWT_SECRET": "  "}, data)
    assert (len(first.creds_key), len(first.creds_iv)) == (32, 16)
    assert len({first.jwt_secret, first.jwt_refresh_secret, first.creds_key.hex()}) == 3
    assert (data / FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in data.iterdir()] == [FILE]
    (data / FILE).chmod(0o644)
    assert load_credentials({}, data) == first
    assert (data / FILE).stat().st_mode & 0o777 == 0o600
    mixed = load_credentials({"JWT_SECRET": "mine"}, data)
    assert mixed.jwt_secret == "mine"
    assert mixed.creds_key == first.creds_key


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    program = (
        "import sys;from pathlib import Path;from locutory_credentials import load_credentials;"
        "sys.stdin.read();c=load_credentials({},Path(sys.argv[1])/'data');"
        "print(c.jwt_secret,c.creds_key.hex(),file=sys.stderr)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
    answers = set()
    for process in started:
        with process:
            assert process.stderr is not None
            answers.add(process.stderr.read())
        assert process.returncode == 0
    assert len(answers) == 1, answers


@pytest.mark.parametrize("explicit", [False, True])
def test_librechats_temporary_file_is_used(tmp_path: Path, explicit: bool) -> None:
    path = tmp_path / ("other.env" if explicit else ".env.temp")
    lines = ["# Automatically generated", f"CREDS_KEY={'12' * 32}", f'JWT_SECRET="{"s" * 40}"']
    path.write_text("\n".join([*lines, "OTHER=$JWT_SECRET", ""]))
    environment = {"LIBRECHAT_TEMP_CREDENTIALS_PATH": str(path)} if explicit else {}
    found = load_credentials(environment, tmp_path / "data")
    assert found.creds_key == b"\x12" * 32
    assert found.jwt_secret == "s" * 40
    own = (tmp_path / "data" / FILE).read_text()
    assert found.jwt_refresh_secret in own
    assert "12" * 32 not in own


def test_every_malformed_one_is_named_without_its_value(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / FILE).write_text("JWT_SECRET=tooshort\n")
    wrong = {"CREDS_KEY": "xyz" * 20, "CREDS_IV": "ab" * 15}
    with pytest.raises(SecretsUnusable) as refused:
        load_credentials(wrong, data)
    text = str(refused.value)
    assert len(refused.value.faults) == 4
    assert "CREDS_KEY: must be exactly 64 hexadecimal digits, and has 60" in text
    assert "CREDS_IV: must be exactly 32" in text
    assert f"{data / FILE}: JWT_SECRET: must have at least 32 characters" in text
    assert "JWT_REFRESH_SECRET is missing" in text
    for value in (*wrong.values(), "tooshort"):
        assert value not in text


def test_a_place_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SecretsUnusable, match="set CREDS_KEY, CREDS_IV"):
        load_credentials({}, tmp_path / "file" / "data")
    (tmp_path / ".env.temp").write_bytes(b"\xff\xfe")
    with pytest.raises(SecretsUnusable, match="cannot be read"):
        load_credentials({}, tmp_path)


def test_values_that_everybody_knows_are_warned_of(tmp_path: Path) -> None:
    known = {**GIVEN, "CREDS_IV": "E2341419EC3DD3D19B13A1A87FAFCBFB"}
    with capture_logs() as logs:
        load_credentials(known, tmp_path)
        load_credentials(GIVEN, tmp_path)
    assert [(entry["event"], entry["names"]) for entry in logs] == [
        ("secrets.published", ["CREDS_IV"])
    ]


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    opened = Database()
    address = databases.address(f"secrets_{uuid.uuid4().hex}")
    opened.use(await open_database(KernelConfig(), Path(), address=address))
    yield opened
    await opened.client.drop_database(opened.name)
    await opened.close()


async def test_a_new_database_remembers_its_secrets(database: Database, tmp_path: Path) -> None:
    credentials = load_credentials(GIVEN, tmp_path)
    records = database.collection(COLLECTION)
    assert (
        await record_fingerprints(
            database.collection(COLLECTION), credentials, GIVEN, database_is_new=False
        )
        == []
    )
    assert await records.find_one({}) is None
    assert (
        await record_fingerprints(
            database.collection(COLLECTION), credentials, GIVEN, database_is_new=True
        )
        == []
    )
    record = await records.find_one({})
    assert record is not None
    assert record["_id"] == "primary"
    # LibreChat hashes the text as it stands in the environment.
    assert record["fingerprints"] == {name: sha(value) for name, value in GIVEN.items()}
    assert set(record) == {"_id", "fingerprints", "createdAt"}

    lower = {**GIVEN, "CREDS_KEY": "ab" * 32}
    assert (
        await record_fingerprints(
            database.collection(COLLECTION), credentials, lower, database_is_new=False
        )
        == []
    )

    other = {**GIVEN, "CREDS_IV": "00" * 16, "JWT_SECRET": "changed"}
    changed = load_credentials(other, tmp_path)
    with capture_logs() as logs:
        differing = await record_fingerprints(
            database.collection(COLLECTION), changed, other, database_is_new=True
        )
    assert differing == ["CREDS_IV", "JWT_SECRET"]
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("secrets.changed", "warning")
    ] * 2
    assert await records.find_one({}) == record


async def test_generated_secrets_are_recorded_as_librechat_would(
    database: Database, tmp_path: Path
) -> None:
    credentials = load_credentials({}, tmp_path)
    await record_fingerprints(
        database.collection(COLLECTION), credentials, {}, database_is_new=True
    )
    record = await database.collection(COLLECTION).find_one({})
    assert record is not None
    assert record["fingerprints"]["CREDS_KEY"] == sha(credentials.creds_key.hex())
    assert record["fingerprints"]["JWT_SECRET"] == sha(credentials.jwt_secret)
    collection: Any = database.collection(COLLECTION)
    await collection.replace_one({}, {"fingerprints": "odd"})
    assert (
        await record_fingerprints(
            database.collection(COLLECTION), credentials, {}, database_is_new=True
        )
        == []
    )
