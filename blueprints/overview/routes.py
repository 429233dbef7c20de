"""The page a customer comes home to: what there is, what goes next, what to buy."""

from flask import Blueprint, render_template

from blueprints.access import account_member
from blueprints.form_tokens import new_form_token
from services.accounts.access import OpenAccount
from services.billing.subscriptions import subscription_of
from services.catalog.packages import packages_for
from services.ledger.balances import expiring_within, lots_of, positions, subscription_expires_at
from services.usage.advice import advice_for
from services.usage.report import meters_of

blueprint = Blueprint("overview", __name__)
WARNING_DAYS = 7
LOTS_SHOWN = 12


@blueprint.get("/home/<account>/overview")
@account_member("viewer")
def show(account: OpenAccount) -> str:
    """Balances, lots in burn order, the plan, packages."""
    all_positions = positions(account.id)
    main = all_positions[0]
    lots = lots_of(account.id, main.credit_type)
    meters, subscription = meters_of(account.id), subscription_of(account.id)
    advice = advice_for(account.id, subscription, meters, lots)
    return render_template(
        "overview/show.html",
        account=account,
        main=main,
        others=[position for position in all_positions[1:] if position.balance],
        subscription_expires_at=subscription_expires_at(account.id, main),
        expiring={item.credit_type_id: item for item in expiring_within(account.id, WARNING_DAYS)},
        types={position.credit_type_id: position for position in all_positions},
        lots=lots[:LOTS_SHOWN],
        more_lots=len(lots) > LOTS_SHOWN,
        packages=packages_for(account.id),
        subscription=subscription,
        meters=[meter for meter in meters if meter.limit is not None],
        recommendation=advice.recommendation,
        forecast=advice.forecast,
        form_token=new_form_token(),
        may_buy=account.allows("member"),
    )
