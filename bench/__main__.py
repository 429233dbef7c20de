"""``python -m bench NAME [--quick]``, or ``all``, which also writes the tables into docs/performance.md."""

import argparse
import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

NAMES = ("deduct", "deduct_http", "reads", "pages", "webhooks", "postgres", "memory")


def main() -> int:
    """Run what is named, print each table, keep each result."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", choices=("all", *NAMES))
    parser.add_argument("--quick", action="store_true", help="seconds instead of a minute, and noisier")
    wanted = parser.parse_args()
    for name in NAMES if wanted.name == "all" else (wanted.name,):
        report = importlib.import_module(f"bench.{name}").run(quick=wanted.quick)
        print(f"\n{report.title}\n\n{report.table()}", flush=True)
        report.save()
    if wanted.name == "all" and not wanted.quick:
        from bench.document import write_tables

        write_tables(NAMES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
