"""Our own receipt of a payment."""

from datetime import UTC, datetime
from io import BytesIO

from flask import Flask
from pypdf import PdfReader
from sqlalchemy import select

from extensions import db
from models.billing import Payment
from tests.conftest import make_account
from tests.visitor import fresh, make_person, signed_in

AT = datetime(2026, 3, 1, tzinfo=UTC)


def pay(account_id: int, **more: object) -> None:
    values = {"status": "paid", "paid_at": AT, "amount_cents": 1190, "tax_cents": 190} | more
    db.session.add(
        Payment(public_id="p1", account_id=account_id, kind="manual", description="東京 1,000 credits",
                currency="eur", created_at=AT, **values)
    )  # fmt: skip
    db.session.commit()


class TestReceipt:
    def test_who_paid_what_to_whom(self, app: Flask) -> None:
        settings = app.extensions["settings"]
        settings.seller_name, settings.seller_tax_id = "Byte & Söhne", "CHE-123"
        settings.seller_address = "Gasse 1\n8000 Zürich"
        account_id = make_account("acme", email="bills@acme.example")
        pay(account_id, refunded_cents=100, status="partially_refunded")
        make_person("vic@example.com", account_id, "viewer")
        viewer = signed_in(app, "vic@example.com")
        assert 'payments/p1/receipt.pdf"' in viewer.get("/home/acme/billing").text
        answer = viewer.get("/home/acme/billing/payments/p1/receipt.pdf")
        assert (answer.status_code, answer.mimetype) == (200, "application/pdf")
        text = PdfReader(BytesIO(answer.data)).pages[0].extract_text()
        fresh()
        number = db.session.scalars(select(Payment.receipt_number)).one()
        for words in ("Byte & Söhne", "8000 Zürich", "CHE-123", "bills@acme.example", "東京", "€10.00",
                      "€1.90", "€11.90", "€10.90", number):  # fmt: skip
            assert words in text, words
        assert answer.data == viewer.get("/home/acme/billing/payments/p1/receipt.pdf").data

    def test_nothing_is_receipted_that_was_not_paid(self, app: Flask) -> None:
        account_id = make_account("acme")
        pay(account_id, status="failed", paid_at=None)
        make_person("ann@example.com", account_id)
        owner = signed_in(app, "ann@example.com")
        for name in ("p1", "other"):
            assert owner.get(f"/home/acme/billing/payments/{name}/receipt.pdf").status_code == 404

    def test_somebody_elses_is_not_there(self, app: Flask) -> None:
        pay(make_account("acme"))
        make_person("eve@example.com", make_account("other"))
        eve = signed_in(app, "eve@example.com")
        for slug in ("acme", "other"):
            assert eve.get(f"/home/{slug}/billing/payments/p1/receipt.pdf").status_code == 404
