"""An account's payments as records for other programs, page by page."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from extensions import db
from models.billing import Payment
from services.clock import iso

COLUMNS = (
    "id", "created_at", "paid_at", "kind", "description", "plan", "amount_cents", "tax_cents",
    "refunded_cents", "currency", "status", "failure", "receipt_number", "invoice_url",
)  # fmt: skip
AMOUNTS = ("amount_cents", "tax_cents", "refunded_cents")
PAYMENTS_A_PAGE = 500


def payment_records(account_id: int, cursor: int | None) -> tuple[list[dict[str, Any]], int | None]:
    """The payments after a cursor (None: from the newest) under ``COLUMNS``, and the next cursor.

    Units: cents are minor units of the currency, tax included. The next cursor is None at the end.
    """
    chosen = select(Payment).where(Payment.account_id == account_id).options(joinedload(Payment.plan))
    if cursor is not None:
        chosen = chosen.where(Payment.id < cursor)
    rows = list(db.session.scalars(chosen.order_by(Payment.id.desc()).limit(PAYMENTS_A_PAGE + 1)))
    page = rows[:PAYMENTS_A_PAGE]
    return [_record(row) for row in page], page[-1].id if len(rows) > PAYMENTS_A_PAGE else None


def _record(row: Payment) -> dict[str, Any]:
    values = (
        row.public_id, iso(row.created_at), iso(row.paid_at) if row.paid_at else None, row.kind,
        row.description, row.plan.code if row.plan else None, row.amount_cents, row.tax_cents,
        row.refunded_cents, row.currency, row.status, row.failure, row.receipt_number, row.invoice_url,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))
