"""Disputes: a customer's bank takes a payment back, and later decides."""

from typing import Literal

from sandbox.lists import page
from sandbox.parameters import EXPAND, Shape, identifier, list_shape
from sandbox.problems import invalid
from sandbox.routing import Call, route
from sandbox.store import Object, Store


def open_dispute(store: Store, charge_id: str, reason: str = "fraudulent") -> Object:
    """The customer's bank disputes a charge: its money is gone until the dispute is won."""
    with store.change():
        charge = store.get("charge", charge_id, "charge")
        if not charge["captured"] or charge["disputed"]:
            raise invalid(f"Charge {charge_id} cannot be disputed.")
        dispute = store.new(
            "dispute", "du", amount=charge["amount_captured"] - charge["amount_refunded"], charge=charge_id,
            balance_transactions=[], currency=charge["currency"], enhanced_eligibility_types=[],
            evidence={"enhanced_evidence": {}}, is_charge_refundable=False, metadata={},
            evidence_details={"due_by": store.now() + 7 * 86_400, "has_evidence": False, "past_due": False,
                              "submission_count": 0, "submission_method": "not_submitted",
                              "enhanced_eligibility": {}},
            payment_intent=charge["payment_intent"], reason=reason, status="needs_response",
        )  # fmt: skip
        store.put(dispute)
        store.put(charge | {"disputed": True})
        store.tell("charge.dispute.created", dispute)
        store.tell("charge.dispute.funds_withdrawn", dispute)
        return dispute


def close_dispute(store: Store, dispute_id: str, outcome: Literal["won", "lost"]) -> Object:
    """The bank has decided; a dispute that is won gives the money back."""
    with store.change():
        dispute = store.get("dispute", dispute_id)
        if dispute["status"] in ("won", "lost"):
            raise invalid(f"The dispute is {dispute['status']} already.")
        dispute["status"] = outcome
        store.put(dispute)
        store.tell("charge.dispute.closed", dispute)
        if outcome == "won":
            store.tell("charge.dispute.funds_reinstated", dispute)
        return dispute


@route("GET", "/v1/disputes/ID", Shape(expand=EXPAND))
def retrieve_dispute(call: Call) -> Object:
    return call.store.get("dispute", call.id)


@route("GET", "/v1/disputes", list_shape(charge=identifier, payment_intent=identifier))
def list_disputes(call: Call) -> Object:
    return page(call, "dispute", "charge", "payment_intent")
