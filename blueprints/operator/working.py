"""Jobs and the proof, asked for by hand: they run beside the page, which shows how they go."""

import logging
import threading

from flask import Flask, current_app, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from blueprints.access import operator_only
from blueprints.operator.blueprint import blueprint
from errors import CofferError, NotFound
from jobs.runner import run_by_hand, waits_because
from jobs.schedule import JOBS, Job, job_named
from services.clock import business_now
from services.operations.job_runs import latest_runs

logger = logging.getLogger("coffer.jobs")
PROOF_JOB = "verify-ledger"
RECONCILE_JOB = "reconcile"


@blueprint.get("/operator/jobs")
@operator_only
def jobs() -> str:
    """Every job: when it runs, how its last run went, when it is due next."""
    runs = latest_runs()
    rows = [(job, runs.get(job.name), job.when.next_due(business_now()), waits_because(job)) for job in JOBS]
    return render_template(
        "operator/jobs.html",
        jobs=rows,
        is_working=any(run and run.state == "running" for _j, run, _d, _w in rows),
    )


@blueprint.post("/operator/jobs/<name>/run")
@operator_only
def run_job(name: str) -> Response:
    """Run one job now, beside this request."""
    job = job_named(name)
    if job is None:
        raise NotFound("There is no such job.")
    because = waits_because(job)
    if because:
        flash(_("The job is paused: %(reason)s", reason=because), "warning")
    else:
        _start(job)
        flash(_("%(job)s has begun.", job=job.name), "info")
    return redirect(url_for("operator.jobs"), 303)


@blueprint.post("/operator/proof")
@operator_only
def prove() -> Response:
    """Prove the whole ledger now, beside this request."""
    job = job_named(PROOF_JOB)
    assert job is not None
    _start(job)
    flash(_("The proof has begun. Large ledgers take a while; this page shows it when it is done."), "info")
    return redirect(url_for("operator.proof"), 303)


@blueprint.post("/operator/reconcile")
@operator_only
def run_reconcile() -> Response:
    """Compare with the payment provider now, beside this request."""
    job = job_named(RECONCILE_JOB)
    assert job is not None
    _start(job)
    flash(_("The comparison has begun; this page shows it when it is done."), "info")
    return redirect(url_for("operator.reconcile"), 303)


def _start(job: Job) -> None:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]

    def work() -> None:
        with app.app_context():
            try:
                run_by_hand(app, job, business_now())
            except CofferError as refusal:
                logger.info("Job %s was not run: %s", job.name, refusal)
            except Exception:
                logger.exception("Job %s could not be run", job.name)

    threading.Thread(target=work, name=f"by-hand-{job.name}", daemon=True).start()
