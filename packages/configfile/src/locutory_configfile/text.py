"""The text of a file, which must be UTF-8; errors name the position of a wrong byte."""

from pathlib import Path as FilePath

from locutory_configfile.faults import Fault, Unreadable

_LARGEST = 8 * 1024 * 1024


def file_text(path: FilePath) -> str | None:
    """The text of a file; ``None`` when it does not exist. Raises `Unreadable` for one that exists
    and cannot be read: a folder, a dangling link, no permission, another encoding, or too many
    bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            return None
        fix = "let this account read it, or remove it"
        if isinstance(error, IsADirectoryError):
            fix = "put the file there: Docker makes a folder when the file to mount is missing"
        raise Unreadable([Fault(f"cannot be read: {error.strerror}", fix)]) from None
    except ValueError as error:  # a NUL in the name
        raise Unreadable([Fault(f"cannot be read: {error}")]) from None
    if len(data) > _LARGEST:
        raise Unreadable([Fault(f"is larger than {_LARGEST} bytes")])
    return decoded(data)


def decoded(data: bytes) -> str:
    """Decode UTF-8, without a byte order mark. Raises `Unreadable` with the position of a wrong
    byte."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        bytes_before = error.object[: error.start]
        line = bytes_before.count(b"\n") + 1
        column = error.start - bytes_before.rfind(b"\n")
        text = f"the byte 0x{error.object[error.start]:02x} here is no UTF-8"
        fix = "save the file in the encoding UTF-8"
        raise Unreadable([Fault(text, fix, line, column)]) from None
