"""The whole flow of an editor that costs credits: estimate, refusal that names what is missing, spend, history.

In the demo alone: it spends credits for work that nobody does.
"""

import json
import secrets

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from blueprints.access import account_member
from blueprints.form_tokens import new_form_token, once_per_form
from errors import CofferError, InsufficientCredits, InvalidRequest, NotFound
from services.accounts.access import OpenAccount
from services.catalog.estimates import actions_of, estimate
from services.ledger.debits import Spend, spend_credits

blueprint = Blueprint("tasks", __name__)
MOST_OF_EACH = 10_000
Answer = str | Response | tuple[str, int]


@blueprint.get("/home/<account>/tasks/try")
@account_member("viewer")
def try_out(account: OpenAccount) -> Answer:
    """The form, and the estimate of what is in it."""
    _require_demo()
    return _page(account, 200)


@blueprint.post("/home/<account>/tasks/try")
@account_member("member")
def run(account: OpenAccount) -> Answer:
    """Spend what the work costs, once per form."""
    _require_demo()
    wanted = _wanted(account)
    if not wanted:
        flash(_("Choose at least one."), "danger")
        return _page(account, 422)
    found = estimate(account.id, wanted)
    task_id = f"task-{secrets.token_hex(4)}"
    words = ", ".join(f"{line.name} × {line.quantity}" for line in found.lines)

    def operation() -> tuple[int, dict[str, object]]:
        receipt = spend_credits(
            Spend(
                account_id=account.id, credit_type=found.credit_type, amount=found.amount, task_id=task_id,
                actor=f"user:{current_user.id}", description=words[:500],
            )
        )  # fmt: skip
        return 200, {"transaction_id": receipt.transaction_id, "task_id": task_id}

    answer = once_per_form(account.id, operation)
    if answer.status >= 400 and json.loads(answer.body)["code"] == InsufficientCredits.code:
        return _page(account, 402)
    if answer.status >= 400:
        flash(json.loads(answer.body)["detail"], "danger")
        return _page(account, answer.status)
    body = json.loads(answer.body)
    flash(_("Done. The task is %(task)s.", task=body["task_id"]), "success")
    return redirect(url_for("usage.line", account=account.slug, transaction_id=body["transaction_id"]), 303)


def _page(account: OpenAccount, status: int) -> tuple[str, int]:
    actions, refusal, found = actions_of(account.id), "", None
    try:
        wanted = _wanted(account)
        found = estimate(account.id, wanted) if wanted else None
    except CofferError as problem:
        wanted, refusal = [], problem.detail
    page = render_template(
        "tasks/try.html", account=account, actions=actions, quantities=dict(wanted), estimate=found,
        refusal=refusal, form_token=new_form_token(), may_spend=account.allows("member"),
    )  # fmt: skip
    return page, 422 if refusal and status == 200 else status


def _wanted(account: OpenAccount) -> list[tuple[str, int]]:
    """The actions and quantities of the form or the address. Raises InvalidRequest naming the action."""
    wanted = []
    for action in actions_of(account.id):
        text = request.values.get(f"quantity-{action.code}", "").strip()
        if text in ("", "0"):
            continue
        if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= MOST_OF_EACH):
            raise InvalidRequest.of(action.name, f"must be a whole number up to {MOST_OF_EACH}")
        wanted.append((action.code, int(text)))
    return wanted


def _require_demo() -> None:
    if not current_app.extensions["settings"].uses_sandbox:
        raise NotFound("There is nothing here.")

