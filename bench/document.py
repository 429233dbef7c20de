"""Writes what the last runs found into docs/performance.md, between two markers."""

from collections.abc import Iterable
from pathlib import Path

from bench.results import load_report

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- results: python -m bench all -->", "<!-- end of results -->"


def write_tables(names: Iterable[str]) -> None:
    """Replace the tables with those of the results that are there."""
    found = [loaded for name in names if (loaded := load_report(name)) is not None]
    if not found:
        return
    parts = [_machine(found[0][1])]
    parts += [f"### {report.title}\n\n{report.table()}" for report, _ in found]
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert end, f"{DOCUMENT} has lost its markers"
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{END}{after}")


def _machine(facts: dict[str, str]) -> str:
    return (
        f"Measured {facts['measured_at']} with Python {facts['python']}, {facts['sqlite']}, on "
        f"{facts['processors']} processors with a load of {facts['load_before']} before; fdatasync of a page "
        f"takes {facts['fdatasync_microseconds']} µs."
    )
