"""Our own receipt of a payment, as PDF: for what has no invoice of the payment provider."""

from flask import Response, current_app
from flask_babel import get_locale
from flask_babel import gettext as _

from blueprints.access import account_member
from blueprints.billing.blueprint import blueprint
from blueprints.filters import format_date, format_money
from errors import NotFound
from services.accounts.access import OpenAccount
from services.billing.payments import Receipt, receipt_of
from services.documents import Document, Party, pdf_of


@blueprint.get("/home/<account>/billing/payments/<payment>/receipt.pdf")
@account_member("viewer")
def receipt(account: OpenAccount, payment: str) -> Response:
    """The receipt. Raises NotFound where the payment is not the account's, or was never made."""
    found = receipt_of(account.id, payment)
    if found is None:
        raise NotFound("There is no such receipt.")
    body = pdf_of(_document(account, found))
    name = f"{found.number}.pdf"
    return Response(body, mimetype="application/pdf", headers={
        "Content-Disposition": f'inline; filename="{name}"', "Cache-Control": "private, no-store",
    })  # fmt: skip


def _document(account: OpenAccount, found: Receipt) -> Document:
    settings = current_app.extensions["settings"]

    def money(cents: int) -> str:
        return format_money(cents, found.currency)

    seller = [settings.seller_name, *settings.seller_address.splitlines()]
    if settings.seller_tax_id:
        seller.append(_("Tax id: %(number)s", number=settings.seller_tax_id))
    totals = []
    if found.tax_cents:
        totals += [
            (_("Before tax"), money(found.amount_cents - found.tax_cents)),
            (_("Tax"), money(found.tax_cents)),
        ]
    totals.append((_("Total"), money(found.amount_cents)))
    if found.refunded_cents:
        totals += [
            (_("Given back"), money(-found.refunded_cents)),
            (_("Paid in the end"), money(found.amount_cents - found.refunded_cents)),
        ]
    facts = [(_("Number"), found.number), (_("Paid on"), format_date(found.paid_at))]
    if found.period_start and found.period_end:
        period = f"{format_date(found.period_start)} – {format_date(found.period_end)}"
        facts.append((_("Period"), period))
    return Document(
        title=_("Receipt"), language=str(get_locale() or "en").replace("_", "-"), made_at=found.paid_at,
        facts=tuple(facts),
        parties=(
            Party(_("From"), tuple(line for line in seller if line.strip())),
            Party(_("To"), tuple(filter(None, (account.name, found.email)))),
        ),
        head=(_("What for"), _("Amount")),
        rows=((found.description, money(found.amount_cents - found.tax_cents)),),
        totals=tuple(totals), author=settings.seller_name,
    )  # fmt: skip
