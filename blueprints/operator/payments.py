"""What an account has paid, and giving it back."""

from decimal import Decimal, InvalidOperation

from flask import current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _

from blueprints.access import operator_only, person
from blueprints.form_tokens import new_form_token
from blueprints.forms import add_errors
from blueprints.operator.account import Answer, account_named
from blueprints.operator.blueprint import blueprint
from blueprints.operator.forms import RefundForm
from blueprints.operator.routes import SHOWN_ON_FORMS
from errors import CofferError, InvalidRequest
from services.billing.payments import PaymentDetails, payment_details, payments_of
from services.billing.refunding import NewRefund, refund_payment
from services.money import currency_digits

PAYMENTS_A_PAGE = 50
MOST_PAGES = 10_000


@blueprint.get("/operator/accounts/<slug>/payments")
@operator_only
def payments(slug: str) -> str:
    """The account's payments, newest first."""
    found = account_named(slug)
    page_number = min(max(request.args.get("page", 1, type=int) or 1, 1), MOST_PAGES)
    page = payments_of(found.id, PAYMENTS_A_PAGE, (page_number - 1) * PAYMENTS_A_PAGE)
    return render_template("operator/payments.html", account=found, page=page, page_number=page_number)


@blueprint.get("/operator/accounts/<slug>/payments/<payment_id>")
@operator_only
def payment(slug: str, payment_id: str) -> Answer:
    """One payment: what it bought, what was given back, what cannot be recovered."""
    found = account_named(slug)
    return _page(slug, payment_details(found.id, payment_id), RefundForm(formdata=None), 200)


@blueprint.post("/operator/accounts/<slug>/payments/<payment_id>/refund")
@operator_only
def refund(slug: str, payment_id: str) -> Answer:
    """Give money back; one form gives once."""
    found, form = account_named(slug), RefundForm()
    details = payment_details(found.id, payment_id)
    if not form.validate():
        return _page(slug, details, form, 422)
    try:
        done = refund_payment(
            NewRefund(
                account_id=found.id, payment_id=payment_id, amount_cents=_cents(form.amount.data, details),
                request_key=f"form:{form.form_token.data}", actor=person().actor, reason=form.reason.data or "",
            ),
            current_app.extensions["payments"],
        )  # fmt: skip
    except CofferError as refusal:
        if refusal.status not in (*SHOWN_ON_FORMS, 503):
            raise
        add_errors(form, refusal)
        return _page(slug, details, form, 503 if refusal.status == 503 else 422, keep_token=True)
    flash(_("The money is on its way back; the credits it bought are taken back."), "success")
    assert done.refunded_cents > 0
    return redirect(url_for("operator.payment", slug=found.slug, payment_id=payment_id), 303)


def _cents(text: str | None, details: PaymentDetails) -> int | None:
    """An amount in the currency's main unit as minor units; nothing: all that is left."""
    if not text:
        return None
    digits = currency_digits(details.payment.currency)
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(0)
    if not amount.is_finite() or not 0 < amount < 10**13 or amount.scaleb(digits) % 1:
        raise InvalidRequest.of("amount", _("Enter an amount such as 12.50."))
    return int(amount.scaleb(digits))


def _page(
    slug: str, details: PaymentDetails, form: RefundForm, status: int, *, keep_token: bool = False
) -> tuple[str, int]:
    if not keep_token:
        form.form_token.data = new_form_token()
    return render_template(
        "operator/payment.html", account=account_named(slug), details=details, form=form
    ), status
