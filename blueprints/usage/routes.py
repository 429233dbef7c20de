"""Usage: credits to buy now and pay later, meters, the history with its filters and files, one line."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import format_date
from werkzeug.wrappers import Response

from blueprints.access import account_member
from blueprints.downloads import download
from blueprints.usage.forms import HistoryFilters
from blueprints.usage.overage import Attempt, confirm, overage_section, success_words
from services.accounts.access import OpenAccount
from services.export_formats import FORMATS
from services.ledger.balances import positions
from services.ledger.course import course_of
from services.ledger.export import AMOUNTS, COLUMNS, record_page
from services.ledger.history import HistoryPage, allocations_of, history, line_of
from services.usage.report import PERIODS, usage_of

blueprint = Blueprint("usage", __name__)
DEFAULT_PERIOD = 30
VIEW_NAMES = ("days", "meter")


@dataclass(frozen=True, slots=True)
class Count:
    """What a chart of counts takes for a credit type: whole numbers."""

    scale: int = 0
    is_money: bool = False
    currency: str | None = None


@blueprint.get("/home/<account>/usage")
@account_member("viewer")
def show(account: OpenAccount) -> str:
    """What can be bought now, what was used, one page of the history."""
    return _page(account)


@blueprint.post("/home/<account>/usage/overage")
@account_member("member")
def buy(account: OpenAccount) -> Response | tuple[str, int]:
    """Buy credits now and pay later; the page again with what is wrong where it is refused."""
    attempt = confirm(account)
    if attempt.receipt is None:
        return _page(account, attempt), attempt.status
    flash(success_words(attempt.receipt), "success")
    return redirect(url_for("usage.show", account=account.slug), 303)


def _page(account: OpenAccount, attempt: Attempt | None = None) -> str:
    types = {position.credit_type: position for position in positions(account.id)}
    filters = _filters(list(types.values()))
    page_number = max(request.args.get("page", 1, type=_row_number) or 1, 1)
    query = filters.query(
        account.id,
        account.time_zone,
        request.args.get("cursor", type=_row_number),
        request.args.get("newer_than", type=_row_number),
    )
    page = history(query)
    return render_template(
        "usage/show.html",
        account=account,
        types=types,
        filters=filters,
        page=page,
        first=(page_number - 1) * query.limit + 1,
        file_href={
            form: url_for("usage.file", account=account.slug, form=form, **_chosen()) for form in FORMATS
        },
        is_filtered=bool(_chosen()),
        chosen=_chosen(),
        view=_view(),
        **overage_section(account, attempt),
        **_views(account, types),
        **_page_links(account.slug, page, page_number),
    )


def _views(account: OpenAccount, types: dict[str, Any]) -> dict[str, Any]:
    """The charts above the history; none where a script asks for the history alone."""
    if request.headers.get("HX-Target") == "history":
        return {"report": None, "course": None}
    days = request.args.get("days", type=int)
    days = days if days in PERIODS else DEFAULT_PERIOD
    chosen = request.args.get("credit_type")
    counted = types.get(chosen or "") or next(iter(types.values()))
    course = course_of(account.id, counted.credit_type_id, days, account.time_zone)
    points = [
        {
            "label": format_date(each.day, "medium"),
            "tick": format_date(each.day, "MMM d"),
            "bar": each.spent,
            "line": each.balance,
        }
        for each in course
    ]
    return {"course": points, "course_type": counted, "days": days, **_meters(account.id, days)}


def _meters(account_id: int, days: int) -> dict[str, Any]:
    """What the page shows of the plan's meters; nothing where the catalogue has none."""
    report = usage_of(account_id, days)
    counted = [meter for meter in report.meters if meter.code in report.totals]
    wanted = request.args.get("meter")
    shown = next((meter for meter in counted if meter.code == wanted), counted[0] if counted else None)
    return {
        "report": report,
        "shown": shown,
        "count_type": Count(),
        "points": [
            {
                "label": format_date(day.day, "medium"),
                "tick": format_date(day.day, "MMM d"),
                "bar": day.counts[shown.code],
                "line": 0,
            }
            for day in report.daily
            if shown is not None
        ],
    }


@blueprint.get("/home/<account>/usage/<int:transaction_id>")
@account_member("viewer")
def line(account: OpenAccount, transaction_id: int) -> str:
    """One line with the lots that it drew on or filled."""
    found = line_of(account.id, transaction_id)
    types = {position.credit_type: position for position in positions(account.id)}
    return render_template(
        "usage/line.html",
        account=account,
        line=found,
        type=types[found.credit_type],
        allocations=allocations_of(found.id),
    )


@blueprint.get("/home/<account>/usage.<any(csv, json):form>")
@account_member("viewer")
def file(account: OpenAccount, form: str) -> Response:
    """The filtered history as CSV or JSON, streamed."""
    query = _filters(positions(account.id)).query(account.id, account.time_zone, None, None)
    return download(f"{account.slug}-history", form, COLUMNS, AMOUNTS, partial(record_page, query))


def _filters(types: list[Any]) -> HistoryFilters:
    """The filters that were chosen; of the credit types, the main one and those that anything happened in."""
    filters = HistoryFilters(request.args)
    filters.credit_type.choices = [
        *filters.credit_type.choices,
        *((p.credit_type, p.name) for number, p in enumerate(types) if number == 0 or p.last_sequence),
    ]
    filters.validate()
    return filters


def _row_number(text: str) -> int:
    """A row id or page number from the address; ValueError (and so the default) for anything else."""
    number = int(text)
    if not 0 <= number < 2**62:
        raise ValueError(text)
    return number


def _chosen() -> dict[str, str]:
    names = ("type", "credit_type", "since", "until", "text")
    return {name: request.args[name] for name in names if request.args.get(name)}


def _view() -> dict[str, str]:
    """What the charts show, which the history's own links keep."""
    return {name: request.args[name] for name in VIEW_NAMES if request.args.get(name)}


def _page_links(slug: str, page: HistoryPage, page_number: int) -> dict[str, str | None]:
    def href(**position: int) -> str:
        return url_for("usage.show", account=slug, **_chosen(), **_view(), **position)

    following = page.next_cursor
    previous = page.previous_cursor if page_number > 1 else None
    return {
        "next_href": href(cursor=following, page=page_number + 1) if following else None,
        "previous_href": href(newer_than=previous, page=page_number - 1) if previous else None,
    }
