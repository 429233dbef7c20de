"""The payments as CSV or JSON."""

from functools import partial

from flask import Response

from blueprints.access import account_member
from blueprints.billing.blueprint import blueprint
from blueprints.downloads import download
from services.accounts.access import OpenAccount
from services.billing.exports import AMOUNTS, COLUMNS, payment_records


@blueprint.get("/home/<account>/billing/payments.<any(csv, json):form>")
@account_member("viewer")
def payments_file(account: OpenAccount, form: str) -> Response:
    """Every payment of the account, newest first, streamed."""
    return download(f"{account.slug}-payments", form, COLUMNS, AMOUNTS, partial(payment_records, account.id))
