"""Every setting, job and command stands in the documents, as it is."""

import re
from pathlib import Path

from config import Settings
from jobs.schedule import JOBS

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROW = re.compile(r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \| (.*) \|$", re.MULTILINE)


def settings_table() -> dict[str, tuple[str, str]]:
    return {
        name: (default, meaning)
        for name, _, default, meaning in ROW.findall((DOCS / "settings.md").read_text())
    }


class TestSettings:
    def test_table_lists_exactly_the_settings(self):
        assert set(settings_table()) == {name.upper() for name in Settings.model_fields}

    def test_meanings_are_those_of_the_code(self):
        table = settings_table()
        for name, field in Settings.model_fields.items():
            assert table[name.upper()][1] == field.description, name

    def test_defaults_are_those_of_the_code(self):
        table = settings_table()
        for name, field in Settings.model_fields.items():
            shown = table[name.upper()][0].strip("`")
            default = field.default
            if isinstance(default, bool):
                assert shown == str(int(default)), name
            elif isinstance(default, int | str) and default != "":
                assert shown == str(default), name


class TestOperations:
    def test_every_job_is_described(self):
        text = (DOCS / "operations.md").read_text()
        assert [job.name for job in JOBS if f"| `{job.name}` |" not in text] == []

    def test_times_of_daily_jobs_are_those_of_the_table(self):
        text = (DOCS / "operations.md").read_text()
        for job in JOBS:
            when = str(job.when)
            if when.startswith("daily at "):
                assert f"| `{job.name}` | {when.removeprefix('daily at ')} |" in text, job.name
