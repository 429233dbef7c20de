"""``flask --app app jobs …``: what jobs there are, run one by hand, resume after a clock jump."""

import json
from datetime import UTC, datetime

import click
from flask import current_app
from flask.cli import AppGroup

from commands.refusals import one_line_refusals
from jobs.runner import run_by_hand, waits_because
from jobs.schedule import JOBS, Job, job_named
from services.clock import business_now, iso, set_business_offset, wall_now
from services.operations.clock_guard import confirm_clock
from services.operations.job_runs import latest_runs

group = AppGroup("jobs", help="What runs by itself: list, run by hand, resume.")


@group.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@one_line_refusals
def list_jobs(as_json: bool) -> None:
    """Every job: when it runs, how its last run went, when it is due next."""
    rows = [_row(job) for job in JOBS]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        last = f"{row['last_state']} {row['last_started_at']}" if row["last_state"] else "not run yet"
        click.echo(f"{row['name']:<16} {row['when']:<20} {last}")
        click.echo(f"{'':<16} {row['sentence']}")
        for note in (row["last_summary"], row["last_error"], row["paused"] and f"Paused: {row['paused']}"):
            if note:
                click.echo(f"{'':<16} {note}")


def _row(job: Job) -> dict[str, str | bool | None]:
    last = latest_runs().get(job.name)
    return {
        "name": job.name,
        "when": str(job.when),
        "sentence": job.sentence,
        "takes_money": job.takes_money,
        "last_state": last.state if last else None,
        "last_due_at": iso(last.due_at) if last else None,
        "last_started_at": iso(last.started_at) if last else None,
        "last_finished_at": iso(last.finished_at) if last and last.finished_at else None,
        "last_summary": last.summary if last else None,
        "last_error": last.error if last else None,
        "next_due_at": iso(job.when.next_due(business_now())),
        "paused": waits_because(job),
    }


@group.command("run")
@click.argument("name")
@click.option("--at", help="As if it were this time (ISO 8601; UTC unless it says otherwise).")
@one_line_refusals
def run_job(name: str, at: str | None) -> None:
    """Run one job now and print what it did."""
    job = job_named(name)
    if job is None:
        raise click.ClickException(f"There is no job {name!r}; there are: {', '.join(j.name for j in JOBS)}")
    moment = _moment(at)
    if at is not None:
        set_business_offset(moment - wall_now())
    try:
        summary = run_by_hand(current_app._get_current_object(), job, moment)  # type: ignore[attr-defined]
    finally:
        if at is not None:
            set_business_offset(None)
    if summary is None:
        raise click.ClickException(f"{name} failed: {latest_runs()[name].error}")
    click.echo(f"{name}: {summary}")


def _moment(at: str | None) -> datetime:
    """The business time of a run. A future one on live money would let credits expire for real."""
    if at is None:
        return business_now()
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise click.ClickException(f"--at {at!r} is no ISO 8601 time such as 2026-12-01T00:00:00Z") from None
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    is_live = current_app.extensions["settings"].payment_environment == "live"
    if is_live and moment > wall_now():
        raise click.ClickException("--at lies in the future; that is refused with a live Stripe key.")
    return moment


@group.command("resume")
@click.option("--yes", is_flag=True, help="Do not ask.")
@one_line_refusals
def resume(yes: bool) -> None:
    """Confirm that the clock is right, so that paused jobs go on."""
    click.echo(f"The clock says {iso(wall_now())}.")
    if not yes:
        click.confirm("Is that right? Credits whose time is over will expire", abort=True)
    because = confirm_clock()
    click.echo(f"Jobs go on. They were paused: {because}" if because else "No job was paused.")
