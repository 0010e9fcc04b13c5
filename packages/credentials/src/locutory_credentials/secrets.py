"""The four secrets of a deployment (contract kernel §2.1, collections §2)."""

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import structlog

from locutory_configfile import read_env
from locutory_credentials.ciphers import Credentials
from locutory_credentials.private_file import write_private

log = structlog.get_logger("locutory.secrets")

NAMES = ("CREDS_KEY", "CREDS_IV", "JWT_SECRET", "JWT_REFRESH_SECRET")
HEX_DIGITS = {"CREDS_KEY": 64, "CREDS_IV": 32}
MINIMUM_STORED = 32
"""The minimum length of a JWT secret in a file; one from the environment may have any length."""
FILE = "secrets.env"

# SHA-256 of the values that LibreChat's documentation printed for years: everybody has them.
_PUBLISHED = frozenset(
    {
        "7c1154b5152983978147ea87e4a2066d4768673e9d85d6a792cddc2f784efd2f",
        "06d2e911edb4d45985b9d6338ec3d4c6b4bde69f8143437797c187ab07085531",
        "69024f21e9ad17594dcccd93e87399af24a5426ccfe6108d1787f0335966abc4",
        "282ad5f60261639fefed381976b4d0dde52eab5527a1ab2ec75d5be1efa1165b",
    }
)


class SecretsUnusable(Exception):
    """Some secrets cannot be used. ``faults``: (place, description, suggested correction); they
    never contain values."""

    def __init__(self, faults: Sequence[tuple[str, str, str]]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{where}: {text} ({fix})" for where, text, fix in faults))


def _malformed(name: str, value: str, *, stored: bool) -> str | None:
    digits = HEX_DIGITS.get(name)
    if digits is not None:
        if re.fullmatch(rf"[0-9a-fA-F]{{{digits}}}", value):
            return None
        return f"must be exactly {digits} hexadecimal digits, and has {len(value)} characters"
    if stored and len(value) < MINIMUM_STORED:
        return f"must have at least {MINIMUM_STORED} characters, and has {len(value)}"
    return None


def _read(path: Path) -> dict[str, str]:
    try:
        values = read_env(path.read_text("utf-8")).values
    except (OSError, UnicodeDecodeError) as error:
        text = f"the file of secrets cannot be read: {error}"
        raise SecretsUnusable([(str(path), text, "")]) from None
    return {name: value for name in NAMES if (value := values.get(name, "").strip())}


def _generated(path: Path, *, writes: bool) -> dict[str, str]:
    """The secrets of this data directory; the first process generates them, and stores them if
    ``writes``."""
    if not path.exists():
        fresh = {name: secrets.token_hex(HEX_DIGITS.get(name, 64) // 2) for name in NAMES}
        if not writes:
            return fresh
        lines = [f"{name}={value}" for name, value in fresh.items()]
        heading = (
            "# Made by Locutory. Keep private and keep: stored keys and sessions depend on it."
        )
        try:
            write_private(path, "\n".join((heading, *lines, "")))
            log.info("secrets.generated", file=str(path))
        except FileExistsError:
            pass  # another process was first; its values are the ones to use
        except OSError as error:
            text = f"generated secrets cannot be stored: {error.strerror}"
            fix = f"make the folder writable, or set {', '.join(NAMES)} in the environment"
            raise SecretsUnusable([(str(path), text, fix)]) from None
    elif writes and path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return _read(path)


def _gather(
    environment: Mapping[str, str], data_dir: Path, *, writes: bool
) -> tuple[dict[str, str], dict[str, Path]]:
    """The value of each secret, and the file of those that are not from the environment."""
    values = {name: value for name in NAMES if (value := environment.get(name, "")).strip()}
    for name in HEX_DIGITS.keys() & values.keys():
        values[name] = values[name].strip()
    origins: dict[str, Path] = {}
    temporary = environment.get("LIBRECHAT_TEMP_CREDENTIALS_PATH", "").strip() or ".env.temp"
    generated = partial(_generated, writes=writes)
    for path, read in ((Path(temporary).resolve(), _read), (data_dir / FILE, generated)):
        missing = [name for name in NAMES if name not in values]
        if missing and (read is generated or path.is_file()):
            found = read(path)
            for name in missing:
                if name in found:
                    values[name], origins[name] = found[name], path
    return values, origins


def load_credentials(
    environment: Mapping[str, str], data_dir: Path, *, writes: bool = True
) -> Credentials:
    """The secrets of this deployment.

    Each is taken from the environment; a blank one from LibreChat's file of temporary credentials,
    if it exists; else from ``secrets.env`` in the data directory, which is generated when needed
    (mode 0600). Raises `SecretsUnusable` with every secret that is malformed. Without ``writes``
    nothing is written to disk.
    """
    values, origins = _gather(environment, data_dir, writes=writes)
    faults = []
    for name in NAMES:
        origin = origins.get(name)
        where = name if origin is None else f"{origin}: {name}"
        if name not in values:
            place = data_dir / FILE
            faults.append((str(place), f"{name} is missing", "restore it from a backup"))
        elif text := _malformed(name, values[name], stored=origin is not None):
            fix = (
                "correct it, or leave it blank to have one generated"
                if origin is None
                else f"restore it from a backup, or set {name} in the environment"
            )
            faults.append((where, text, fix))
    if faults:
        raise SecretsUnusable(faults)
    published = [name for name in NAMES if fingerprint(values[name].lower()) in _PUBLISHED]
    if published:
        log.warning("secrets.published", names=published, advice="replace these known values")
    return Credentials(
        jwt_secret=values["JWT_SECRET"],
        jwt_refresh_secret=values["JWT_REFRESH_SECRET"],
        creds_key=bytes.fromhex(values["CREDS_KEY"]),
        creds_iv=bytes.fromhex(values["CREDS_IV"]),
    )


def fingerprint(value: str) -> str:
    """The SHA-256 of a secret, in hexadecimal digits."""
    return hashlib.sha256(value.encode()).hexdigest()
