"""What destination charges move: transfers, application fees, and both taken back."""

from decimal import Decimal

from sandbox.changes import merged_metadata
from sandbox.lists import page, whole
from sandbox.parameters import (
    EXPAND,
    Shape,
    boolean,
    identifier,
    list_shape,
    metadata,
    page_shape,
    positive,
    string,
)
from sandbox.problems import invalid
from sandbox.rounding import rounded
from sandbox.routing import Call, route
from sandbox.store import Object, Query, Store, random_id

APPLICATION = "ca_sandbox"


def send_to_destination(store: Store, intent: Object, charge: Object) -> Object:
    """A charge that was paid passes on what its intent says: the transfer, and the fee that comes back."""
    data = intent["transfer_data"]
    if not data:
        return charge
    taken, fee_amount = charge["amount_captured"], intent["application_fee_amount"]
    group = charge["transfer_group"] or f"group_{intent['id']}"
    transfer = store.new(
        "transfer", "tr", amount=min(data.get("amount") or taken, taken), amount_reversed=0,
        balance_transaction=None, currency=charge["currency"], description=None,
        destination=data["destination"], destination_payment=random_id("py"), metadata={}, reversed=False,
        source_transaction=charge["id"], source_type="card", transfer_group=group,
    )  # fmt: skip
    transfer["reversals"] = whole([], f"/v1/transfers/{transfer['id']}/reversals")
    store.put(transfer)
    store.tell("transfer.created", transfer)
    charge |= {"transfer": transfer["id"], "transfer_group": group}
    if fee_amount:
        fee = _new_fee(store, charge, transfer, min(fee_amount, taken))
        charge |= {"application_fee": fee["id"]}
    return store.put(charge)


def _new_fee(store: Store, charge: Object, transfer: Object, amount: int) -> Object:
    fee = store.new(
        "application_fee", "fee", account=transfer["destination"], amount=amount, amount_refunded=0,
        application=APPLICATION, balance_transaction=None, charge=transfer["destination_payment"],
        currency=charge["currency"], originating_transaction=charge["id"], refunded=False,
        fee_source={"type": "charge", "charge": transfer["destination_payment"]},
    )  # fmt: skip
    fee["refunds"] = whole([], f"/v1/application_fees/{fee['id']}/refunds")
    store.put(fee)
    store.tell("application_fee.created", fee, account=fee["account"])
    return fee


def share_of(part: int, charge: Object, refunded: int) -> int:
    """The share of a transfer or fee that goes back with a refund."""
    return rounded(Decimal(part) * refunded / charge["amount_captured"])


def reverse_transfer(
    store: Store, transfer: Object, amount: int, *, refund: Object | None = None,
    metadata: dict[str, str] | None = None,
) -> Object:  # fmt: skip
    """Take money back from a connected account. Raises StripeProblem where so much is not there."""
    left = transfer["amount"] - transfer["amount_reversed"]
    if not left:
        raise invalid(f"Transfer {transfer['id']} has already been reversed.")
    if amount > left:
        raise invalid(f"Transfer amount ({amount}) is greater than unreversed amount ({left}).", "amount")
    reversal = store.new(
        "transfer_reversal", "trr", amount=amount, balance_transaction=None, currency=transfer["currency"],
        destination_payment_refund=None, metadata=metadata or {}, source_refund=refund and refund["id"],
        transfer=transfer["id"],
    )  # fmt: skip
    del reversal["livemode"]
    store.put(reversal)
    transfer["amount_reversed"] += amount
    transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
    transfer["reversals"]["data"].insert(0, reversal)
    store.put(transfer)
    store.tell("transfer.reversed", transfer)
    return reversal


def refund_fee(store: Store, fee: Object, amount: int, metadata: dict[str, str] | None = None) -> Object:
    """Give an application fee back to the connected account. Raises StripeProblem where it is given back."""
    left = fee["amount"] - fee["amount_refunded"]
    if amount > left or not left:
        raise invalid(f"Application fee {fee['id']} has only {left} that was not refunded.", "amount")
    refund = store.new("fee_refund", "fr", amount=amount, balance_transaction=None, currency=fee["currency"],
                       fee=fee["id"], metadata=metadata or {})  # fmt: skip
    del refund["livemode"]
    store.put(refund)
    fee["amount_refunded"] += amount
    fee["refunded"] = fee["amount_refunded"] == fee["amount"]
    fee["refunds"]["data"].insert(0, refund)
    store.put(fee)
    store.tell("application_fee.refunded", fee, account=fee["account"])
    return refund


@route("GET", "/v1/transfers/ID", Shape(expand=EXPAND))
def retrieve_transfer(call: Call) -> Object:
    return call.store.get("transfer", call.id)


@route("GET", "/v1/transfers", list_shape(destination=identifier, transfer_group=string))
def list_transfers(call: Call) -> Object:
    return page(call, "transfer", "destination", "transfer_group")


@route(
    "POST", "/v1/transfers/ID/reversals",
    Shape(amount=positive, description=string, expand=EXPAND, metadata=metadata, refund_application_fee=boolean),
)  # fmt: skip
def create_reversal(call: Call) -> Object:
    given, store = call.given, call.store
    transfer = store.get("transfer", call.id)
    amount = given.get("amount", transfer["amount"] - transfer["amount_reversed"])
    if given.get("refund_application_fee"):
        charge = store.get("charge", transfer["source_transaction"])
        fee = store.get("application_fee", charge["application_fee"] or "", "refund_application_fee")
        refund_fee(store, fee, rounded(Decimal(fee["amount"]) * amount / transfer["amount"]))
    return reverse_transfer(store, transfer, amount, metadata=merged_metadata({}, given.get("metadata", {})))


@route("GET", "/v1/transfers/ID/reversals", page_shape())
def list_reversals(call: Call) -> Object:
    call.store.get("transfer", call.id)
    return page(call, "transfer_reversal", query=Query().where("$.transfer", call.id))


@route("GET", "/v1/application_fees/ID", Shape(expand=EXPAND))
def retrieve_fee(call: Call) -> Object:
    return call.store.get("application_fee", call.id)


@route("GET", "/v1/application_fees", list_shape(charge=identifier))
def list_fees(call: Call) -> Object:
    return page(call, "application_fee", "charge")


@route("POST", "/v1/application_fees/ID/refunds", Shape(amount=positive, expand=EXPAND, metadata=metadata))
def create_fee_refund(call: Call) -> Object:
    fee = call.store.get("application_fee", call.id)
    amount = call.given.get("amount", fee["amount"] - fee["amount_refunded"])
    return refund_fee(call.store, fee, amount, merged_metadata({}, call.given.get("metadata", {})))
