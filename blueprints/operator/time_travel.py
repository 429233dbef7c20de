"""Time travel: an operator moves the clock of a demo forward and watches what happens."""

from datetime import datetime

from flask import Flask, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from blueprints.access import operator_only, person
from blueprints.form_tokens import new_form_token, once_per_form
from blueprints.forms import add_errors, add_refusal
from blueprints.operator.blueprint import blueprint
from blueprints.operator.forms import TravelForm
from blueprints.operator.routes import INSTANCE, SHOWN_ON_FORMS
from errors import CofferError, InvalidRequest
from jobs.time_travel import barred_because, traveller_for
from services.clock import business_now, moved_by, wall_now
from services.operations import happenings
from services.operations import time_travel as service
from services.operations.moved_clock import clock_was_moved_at
from services.operations.time_travel import Journey

SPANS = ("1h", "1d", "7d", "30d")
FIELD_OF_SPAN = "amount"


@blueprint.get("/operator/time-travel")
@operator_only
def time_travel_page() -> tuple[str, int]:
    """The two clocks, the journey under way or the latest, and what it brought."""
    return _page(TravelForm(formdata=None), 200)


@blueprint.post("/operator/time-travel")
@operator_only
def begin_journey() -> Response | tuple[str, int]:
    """Move the clock forward, beside this request; one form moves it once."""
    form = TravelForm()
    chosen = request.form.get("span", "")
    if not form.validate():
        return _page(form, 422)
    if not chosen and form.amount.data is None:
        form.amount.errors = [_("Enter a number from 1 to 9600.")]
        return _page(form, 422)
    try:
        to_at, traveller = service.destination(form.span(chosen)), traveller_for(_app())
        begun: list[Journey] = []

        def operation() -> tuple[int, dict[str, str]]:
            begun.append(traveller.begin(to_at, person().actor))
            return 201, {}

        answer = once_per_form(INSTANCE, operation)
    except CofferError as refusal:
        if refusal.status not in SHOWN_ON_FORMS:
            raise
        _refuse(form, refusal)
        return _page(form, 422)
    if answer.status >= 400:
        add_refusal(form, answer)
        return _page(form, 422)
    if begun:
        traveller.drive_beside()
    return redirect(url_for("operator.time_travel_page"), 303)


@blueprint.post("/operator/time-travel/continue")
@operator_only
def continue_journey() -> Response:
    """Go on with a journey that was interrupted or failed."""
    traveller = traveller_for(_app())
    traveller.take_over(person().actor)
    traveller.drive_beside()
    return redirect(url_for("operator.time_travel_page"), 303)


@blueprint.post("/operator/time-travel/end")
@operator_only
def end_journey() -> Response:
    """Have the journey end at the instant that it has reached."""
    service.want_end(person().actor)
    flash(_("The journey ends at the instant that it has reached."), "info")
    return redirect(url_for("operator.time_travel_page"), 303)


def _app() -> Flask:
    return current_app._get_current_object()  # type: ignore[attr-defined]


def _refuse(form: TravelForm, refusal: CofferError) -> None:
    """What is wrong with the span is shown beside the number."""
    if isinstance(refusal, InvalidRequest):
        form.amount.errors = [_(item.message) for item in refusal.errors]
    else:
        add_errors(form, refusal)


def _page(form: TravelForm, status: int) -> tuple[str, int]:
    form.form_token.data = new_form_token()
    journey = service.last_journey()
    sums, newest = _what_happened(journey)
    page = render_template(
        "operator/time_travel.html",
        form=form,
        spans=SPANS,
        cycle_end=service.next_cycle_end(),
        product_at=business_now(),
        wall_at=wall_now(),
        ahead=moved_by(),
        first_moved=clock_was_moved_at(),
        barred=barred_because(_app()),
        journey=journey,
        is_interrupted=service.is_interrupted(journey),
        sums=sums,
        newest=newest,
    )
    return page, status


def _what_happened(journey: Journey | None) -> tuple[happenings.Sums | None, list[happenings.Happening]]:
    if journey is None:
        return None, []
    until, told_until = _now_or(journey.at, journey), journey.ended_at or wall_now()
    sums = happenings.sums(journey.from_at, until, journey.begun_at, told_until)
    return sums, happenings.newest(journey.from_at, until)


def _now_or(reached: datetime, journey: Journey) -> datetime:
    return reached if journey.ended_at else business_now()
