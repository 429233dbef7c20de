"""The accounts of the instance: search, make; and the style guide."""

import json
from dataclasses import dataclass

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from blueprints.access import operator_only, person
from blueprints.form_tokens import new_form_token, once_per_form
from blueprints.forms import add_errors, add_refusal
from blueprints.operator.blueprint import blueprint
from blueprints.operator.forms import NewAccountForm
from errors import CofferError
from services.accounts import accounts as service
from services.accounts.accounts import FoundAccounts, NewAccount
from services.catalog.catalogs import catalogs
from services.clock import business_now

INSTANCE = 0
ACCOUNTS_A_PAGE = 50
LONGEST_SEARCH = 255
# A refusal of these kinds is shown on the form that was sent; any other is a page of its own.
SHOWN_ON_FORMS = (402, 403, 404, 409, 422)


@dataclass(frozen=True, slots=True)
class SampleCreditType:
    """What the style guide counts."""

    scale: int = 0
    is_money: bool = False
    currency: str | None = None


@blueprint.get("/operator/accounts")
@operator_only
def accounts() -> str:
    """One page of the accounts, newest first."""
    search = request.args.get("search", "").strip()[:LONGEST_SEARCH]
    page_number = max(request.args.get("page", 1, type=row_number) or 1, 1)
    found = service.find_accounts(
        search,
        limit=ACCOUNTS_A_PAGE,
        older_than=request.args.get("older_than", type=row_number),
        newer_than=request.args.get("newer_than", type=row_number),
    )
    return render_template(
        "operator/accounts.html",
        found=found,
        search=search,
        first=(page_number - 1) * ACCOUNTS_A_PAGE + 1,
        **_page_links(found, search, page_number),
    )


@blueprint.get("/operator/accounts/new")
@operator_only
def new_account() -> tuple[str, int]:
    """The form that makes an account."""
    return _new_account_page(NewAccountForm(formdata=None), 200)


@blueprint.post("/operator/accounts/new")
@operator_only
def create_account() -> Response | tuple[str, int]:
    """Make an account; one form makes one."""
    form = NewAccountForm()
    form.offer_catalogues(_catalogues())
    if not form.validate():
        return _new_account_page(form, 422)
    fields = ("name", "slug", "external_id", "email", "kind", "agency", "catalogue", "time_zone", "locale")
    new = NewAccount(**{name: form[name].data or None for name in fields})

    def operation() -> tuple[int, dict[str, str]]:
        account, created = service.create_account(new, actor=person().actor)
        return (201 if created else 200), {"slug": account.slug}

    try:
        answer = once_per_form(INSTANCE, operation)
    except CofferError as refusal:
        if refusal.status not in SHOWN_ON_FORMS:
            raise
        add_errors(form, refusal)
        return _new_account_page(form, 422)
    if answer.status >= 400:
        add_refusal(form, answer)
        return _new_account_page(form, 422)
    if answer.status == 201:
        flash(_("The account is made."), "success")
    else:
        flash(_("There is an account with this external id already: this one."), "info")
    return redirect(url_for("operator.account", slug=json.loads(answer.body)["slug"]), 303)


@blueprint.get("/styleguide")
@operator_only
def style_guide() -> str:
    """Every component in every state."""
    return render_template("styleguide/index.html", type=SampleCreditType(), now=business_now())


def _new_account_page(form: NewAccountForm, status: int) -> tuple[str, int]:
    form.offer_catalogues(_catalogues())
    form.form_token.data = new_form_token()
    return render_template("operator/new_account.html", form=form), status


def _catalogues() -> list[tuple[str, str]]:
    return [(catalog.code, catalog.name) for catalog in catalogs()]


def row_number(text: str) -> int:
    """A row id or page number from the address; ValueError (and so the default) for anything else."""
    number = int(text)
    if not 0 <= number < 2**62:
        raise ValueError(text)
    return number


def _page_links(found: FoundAccounts, search: str, page_number: int) -> dict[str, str | None]:
    def href(**position: int) -> str:
        return url_for("operator.accounts", search=search or None, **position)

    older = found.next_cursor
    newer = found.previous_cursor if page_number > 1 else None
    return {
        "next_href": href(older_than=older, page=page_number + 1) if older else None,
        "previous_href": href(newer_than=newer, page=page_number - 1) if newer else None,
    }
