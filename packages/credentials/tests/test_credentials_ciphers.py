"""Ciphers of stored values: vectors made with Node's crypto as LibreChat uses it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locutory_credentials import Credentials

TEXT = "sk-schlüssel-0123456789"
V1 = "ea391180af86a3310088d6e4c57a714ef399db23d629500bdacc0ec694da4ca6"
V2 = (
    "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff:"
    "3c2ea7114be2ae534398c7998956f1c535fb60d6521edf978c5c69be8ac0a016"
)
V3 = "v3:f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff:e16be0fe40feec08e61a95312c1f5325f86c4f75c71d0cf8"

CREDENTIALS = Credentials(
    jwt_secret="access",
    jwt_refresh_secret="refresh",
    creds_key=bytes(range(32)),
    creds_iv=bytes(range(16)),
)
OTHERS = Credentials("access", "refresh", bytes(32), bytes(16))


@pytest.mark.parametrize("value", [V1, V2, V3])
def test_values_of_librechat_can_be_read(value: str) -> None:
    assert CREDENTIALS.decrypt(value) == TEXT


def test_v1_is_written_as_librechat_writes_it() -> None:
    assert CREDENTIALS.encrypt_v1(TEXT) == V1


def test_each_value_has_an_iv_of_its_own() -> None:
    assert len({CREDENTIALS.encrypt_v2(TEXT) for _ in range(20)}) == 20
    assert len({CREDENTIALS.encrypt_v3(TEXT).split(":")[1] for _ in range(20)}) == 20


@given(st.text())
def test_every_text_survives_in_every_form(text: str) -> None:
    for written in (
        CREDENTIALS.encrypt_v1(text),
        CREDENTIALS.encrypt_v2(text),
        CREDENTIALS.encrypt_v3(text),
    ):
        assert CREDENTIALS.decrypt(written) == text


@pytest.mark.parametrize(
    "value",
    [
        *("", "zz", "00", "plain text", V1[:-2], V1 + "00"),
        *(":", "00:", "zz:00", V2[:-1], V2[2:], V2 + ":00", V2.upper() + "g"),
        *("v3", "v3:", "v3:00", "v3::00", "v3:00:00", "v4:" + V3[3:], V3[:-1], V3 + ":00"),
    ],
)
def test_a_damaged_value_is_a_value_error(value: str) -> None:
    with pytest.raises(ValueError):
        CREDENTIALS.decrypt(value)


@pytest.mark.parametrize("value", [V1, V2, V3])
def test_other_secrets_do_not_open_them(value: str) -> None:
    with pytest.raises(ValueError):
        OTHERS.decrypt(value)


def test_secrets_are_not_shown() -> None:
    assert "access" not in repr(CREDENTIALS)
    assert "\\x01" not in repr(CREDENTIALS)
