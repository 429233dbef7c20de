"""A process that runs due jobs: ``python -m tests.jobs.sweeper FOLDER DATABASE_URL``. Killed by its test."""

import sys
import time
from datetime import timedelta
from pathlib import Path

from app import create_app
from jobs import runner
from jobs.schedule import Every, Job
from services.ledger import expiry_sweep
from tests.conftest import settings_for

LEASE_SECONDS = 6


def main(folder: str, database_url: str) -> None:
    """Look for the one job every 0.2 s; work slowly, so that it is killed at work."""
    app = create_app(settings_for(Path(folder), database_url=database_url))

    def sweep(_app) -> str:
        print("at work", flush=True)
        swept = expiry_sweep.sweep_due(lambda: bool(time.sleep(0.05)))
        return f"{swept.lots} lots"

    expiry_sweep.MOST_LOTS = expiry_sweep.FIRST_LOTS = 20
    runner.LEASE_SECONDS, runner.RENEW_SECONDS = LEASE_SECONDS, LEASE_SECONDS / 6
    jobs = (Job("expire-grants", Every(timedelta(hours=1)), sweep, "For tests.", lets_expire=True),)
    looking = runner.Runner(app, jobs)
    while True:
        looking.tick()
        time.sleep(0.2)


if __name__ == "__main__":
    main(*sys.argv[1:])
