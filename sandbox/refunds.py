"""Refunds, of the whole of a charge or a part."""

from typing import Any

from sandbox.changes import merged_metadata, updated
from sandbox.lists import page
from sandbox.parameters import EXPAND, Shape, boolean, identifier, list_shape, metadata, one_of, positive
from sandbox.problems import StripeProblem, invalid
from sandbox.routing import Call, route
from sandbox.store import Object, Store
from sandbox.transfers import refund_fee, reverse_transfer, share_of


@route(
    "POST", "/v1/refunds",
    Shape(amount=positive, charge=identifier, payment_intent=identifier, metadata=metadata, expand=EXPAND,
          refund_application_fee=boolean, reverse_transfer=boolean,
          reason=one_of("duplicate", "fraudulent", "requested_by_customer")),
)  # fmt: skip
def create_refund(call: Call) -> Object:
    store, given = call.store, call.given
    charge = _charge_of(store, given)
    left = charge["amount_captured"] - charge["amount_refunded"]
    amount = given.get("amount", left)
    if not left:
        raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if amount > left:
        raise invalid(f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
                      "amount")  # fmt: skip
    refund = store.new(
        "refund", "re", amount=amount, balance_transaction=None, charge=charge["id"],
        currency=charge["currency"], metadata=merged_metadata({}, given.get("metadata", {})),
        destination_details=_destination(charge), payment_intent=charge["payment_intent"],
        reason=given.get("reason"), receipt_number=None, source_transfer_reversal=None, status="succeeded",
        transfer_reversal=None,
    )  # fmt: skip
    del refund["livemode"]
    _take_back(store, charge, refund, given)
    store.put(refund)
    store.tell("refund.created", refund)
    _count_refund(store, charge, amount)
    store.tell("charge.refunded", charge)
    return refund


def _take_back(store: Store, charge: Object, refund: Object, given: dict[str, Any]) -> None:
    """What a destination charge has sent on follows the refund, where the call says so."""
    for name, field in (("reverse_transfer", "transfer"), ("refund_application_fee", "application_fee")):
        if given.get(name) and not charge.get(field):
            raise invalid(f"The charge {charge['id']} has no {field.replace('_', ' ')}; {name} does not apply.",
                          name)  # fmt: skip
    if given.get("reverse_transfer"):
        transfer = store.get("transfer", charge["transfer"])
        share = share_of(transfer["amount"], charge, refund["amount"])
        reversal = reverse_transfer(store, transfer, share, refund=refund)
        refund["transfer_reversal"] = reversal["id"]
    if given.get("refund_application_fee"):
        fee = store.get("application_fee", charge["application_fee"])
        refund_fee(store, fee, share_of(fee["amount"], charge, refund["amount"]))


def _charge_of(store: Store, given: dict[str, Any]) -> Object:
    """The charge to refund. Raises StripeProblem where there is none that was paid."""
    if ("charge" in given) == ("payment_intent" in given):
        raise invalid("You must provide one of these parameters: charge or payment_intent.",
                      "payment_intent", "parameter_missing")  # fmt: skip
    if "charge" in given:
        charge = store.get("charge", given["charge"], "charge")
    else:
        intent = store.get("payment_intent", given["payment_intent"], "payment_intent")
        found = store.find("charge", intent["latest_charge"])
        if found is None or intent["status"] != "succeeded":
            raise invalid(f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
                          "payment_intent")  # fmt: skip
        charge = found
    if charge["status"] != "succeeded":
        raise invalid(f"Charge {charge['id']} was not paid and cannot be refunded.", "charge",
                      "charge_not_refundable")  # fmt: skip
    if charge["disputed"]:
        raise invalid(f"Charge {charge['id']} has been charged back; cannot issue a refund.",
                      code="charge_disputed")  # fmt: skip
    return charge


def _destination(charge: Object) -> Object | None:
    if (charge["payment_method_details"] or {}).get("type") != "card":
        return None
    card = {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}
    return {"type": "card", "card": card}


def _count_refund(store: Store, charge: Object, amount: int) -> None:
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    store.put(charge)


def fail_refund(store: Store, refund_id: str) -> Object:
    """A refund that the bank sent back later: the charge counts it no more."""
    with store.change():
        refund = store.get("refund", refund_id)
        if refund["status"] != "succeeded":
            raise StripeProblem(400, "invalid_request_error", f"The refund is {refund['status']}.")
        charge = store.get("charge", refund["charge"])
        _count_refund(store, charge, -refund["amount"])
        refund |= {"status": "failed", "failure_reason": "expired_or_canceled_card"}
        store.put(refund)
        store.tell("charge.updated", charge)
        store.tell("refund.updated", refund, before={"status": "succeeded"})
        store.tell("refund.failed", refund)
        return refund


@route("GET", "/v1/refunds/ID", Shape(expand=EXPAND))
def retrieve_refund(call: Call) -> Object:
    return call.store.get("refund", call.id)


@route("POST", "/v1/refunds/ID", Shape(metadata=metadata, expand=EXPAND))
def update_refund(call: Call) -> Object:
    return updated(call, call.store.get("refund", call.id), "refund.updated")


@route("GET", "/v1/refunds", list_shape(charge=identifier, payment_intent=identifier))
def list_refunds(call: Call) -> Object:
    return page(call, "refund", "charge", "payment_intent")
