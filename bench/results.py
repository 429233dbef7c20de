"""What a benchmark found: rows beside their floor and their aim, as a table and as JSON."""

import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

import sqlite_library
from services.clock import iso, wall_now

RESULTS = Path(__file__).resolve().parent / "results"
HEADINGS = ("What", "Measured", "Beside", "Ratio", "First aim", "Goal")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. ``ratio`` is held against the aims; ``at_most``: smaller is better."""

    what: str
    measured: str
    beside: str = ""
    ratio: float | None = None
    first: float | None = None
    goal: float | None = None
    at_most: bool = False
    unit: str = "×"

    @property
    def verdict(self) -> str:
        """Which aim is met, in a word; empty where there is none."""
        if self.ratio is None or self.first is None or self.goal is None:
            return ""
        for aim, word in ((self.goal, "goal"), (self.first, "first aim")):
            if (self.ratio <= aim) if self.at_most else (self.ratio >= aim):
                return word
        return "missed"

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        ratio = "" if self.ratio is None else f"{_number(self.ratio)} {self.unit}"
        if self.verdict:
            ratio += f" ({self.verdict})"
        return (self.what, self.measured, self.beside, ratio, self._aim(self.first), self._aim(self.goal))

    def _aim(self, aim: float | None) -> str:
        return "" if aim is None else f"{'≤' if self.at_most else '≥'} {aim:g} {self.unit}"


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


@dataclass(frozen=True, slots=True)
class Report:
    """The rows of one benchmark."""

    name: str
    title: str
    rows: list[Row]

    def table(self) -> str:
        """A Markdown table, which a terminal shows well too."""
        lines = [HEADINGS, *(row.cells() for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
        padded = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
                  for line in lines]  # fmt: skip
        rule = " | ".join("-" * width for width in widths)
        return "\n".join(f"| {line} |" for line in (padded[0], rule, *padded[1:]))

    def save(self) -> Path:
        """Keep the rows as JSON in bench/results, which no commit takes along."""
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{self.name}.json"
        rows = [asdict(row) | {"verdict": row.verdict} for row in self.rows]
        found = {"name": self.name, "title": self.title, "machine": machine(), "rows": rows}
        path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
        return path


def load_report(name: str) -> tuple[Report, dict[str, str]] | None:
    """A saved report and the machine it was made on; None where it has not been run."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return None
    found = json.loads(path.read_text())
    rows = [Row(**{key: value for key, value in row.items() if key != "verdict"}) for row in found["rows"]]
    return Report(found["name"], found["title"], rows), found["machine"]


def machine() -> dict[str, str]:
    """On what and when it was measured."""
    return {
        "measured_at": iso(wall_now().replace(microsecond=0)),
        "processors": str(os.cpu_count()),
        "load_before": f"{os.getloadavg()[0]:.2f}",
        "python": platform.python_version(),
        "sqlite": sqlite_library.describe(),
        "fdatasync_microseconds": str(fdatasync_microseconds()),
    }


def fdatasync_microseconds() -> int:
    """How long the disk under bench/results takes to make one page durable: the median of some."""
    from bench.timing import repeated

    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "fdatasync.probe"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        page = b"\0" * 4096

        def write() -> None:
            os.pwrite(descriptor, page, 0)
            os.fdatasync(descriptor)

        return round(repeated(write)(0.1).p50_ms * 1000)
    finally:
        os.close(descriptor)
        path.unlink()
