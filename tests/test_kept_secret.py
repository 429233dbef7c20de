"""Generated secrets: made once, whole as soon as they are there, whoever makes them at the same time."""

import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config import SettingsError, kept_secret


class TestKeptSecret:
    def test_made_once_for_the_owner_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        first = kept_secret(path)
        assert len(first) == 64 and kept_secret(path) == first
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [file.name for file in tmp_path.iterdir()] == ["key"]

    def test_many_at_once_get_the_same(self, tmp_path: Path) -> None:
        gate = threading.Barrier(16)

        def make(_: int) -> str:
            gate.wait()
            return kept_secret(tmp_path / "key")

        for _ in range(5):
            (tmp_path / "key").unlink(missing_ok=True)
            with ThreadPoolExecutor(16) as pool:
                assert len(set(pool.map(make, range(16)))) == 1

    def test_a_damaged_one_is_named_not_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text("short")
        with pytest.raises(SettingsError, match="KEY"):
            kept_secret(tmp_path / "key")
        assert (tmp_path / "key").read_text() == "short"
