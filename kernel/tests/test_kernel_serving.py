"""What ``locutory serve`` does around a kernel: no search for garbage."""

import gc
from pathlib import Path

import pytest

from locutory import StartupError
from locutory.config.configuration import Sources
from locutory_cli.building import built


def test_what_is_imported_is_never_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCUTORY_DATA_DIR", str(tmp_path))
    before = gc.get_freeze_count()
    try:
        sources = Sources({"LOCUTORY_DATA_DIR": str(tmp_path)}, {"plugins": {"enabled": []}})
        assert built(sources).plugins == []
        assert gc.get_freeze_count() > before
        assert gc.isenabled()
        with pytest.raises(StartupError):
            built(Sources({}, {"plugins": {"enabled": ["nobody"]}}))
        assert gc.isenabled()
    finally:
        gc.unfreeze()
