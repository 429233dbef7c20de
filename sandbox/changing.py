"""Another price for a subscription: what is prorated, billed at once, or waits for its payment."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.billing import draft_invoice, finalize, new_line, unsaved_invoice
from sandbox.catalog import amount_of
from sandbox.documents import day
from sandbox.periods import boundary_after
from sandbox.problems import StripeProblem, invalid
from sandbox.rounding import rounded
from sandbox.store import Object, Store
from sandbox.subscribing import (
    apply_pending,
    change_status,
    charge_subscription,
    discount_in_force,
    invoice_fields,
    item_of,
    line_parent,
    period_line,
    priced,
    schedule_retries,
    tax_percent,
    with_item,
)

PENDING_SECONDS = 23 * 3_600


@dataclass(frozen=True, slots=True)
class Change:
    """A new price and quantity, how they are prorated, and what happens where the payment fails."""

    price: Object
    quantity: int
    proration: str = "create_prorations"
    payment: str = "allow_incomplete"
    at: int = 0
    off_session: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change comes to: the item and anchor afterwards, what it bills, and whether at once."""

    item: Object
    anchor: int
    lines: list[Object]
    is_billed_now: bool


def outcome_of(store: Store, subscription: Object, change: Change) -> Outcome:
    """Work a change out, without doing it. Raises StripeProblem where its instant is not in the period."""
    item, price, at = item_of(subscription), change.price, change.at
    start, end = item["current_period_start"], item["current_period_end"]
    if not start <= at <= end:
        raise invalid("The proration date must be within the current period of the subscription.",
                      "proration_date")  # fmt: skip
    if price["currency"] != subscription["currency"]:
        raise invalid("All prices of a subscription must have the same currency.", "items")
    if _rhythm(price) != _rhythm(item["price"]):
        return _new_period(store, subscription, change)
    old_amount, new_amount = item["_billed"], _net(store, subscription, change)
    share = Decimal(end - at) / Decimal(end - start)
    changed = priced(item, price, change.quantity, start, end)
    lines: list[Object] = []
    if change.proration != "none" and (price["id"], change.quantity) != (
        item["price"]["id"],
        item["quantity"],
    ):
        lines = [
            _prorated(store, subscription, item, -rounded(old_amount * share), "Unused time on", at),
            _prorated(store, subscription, changed, rounded(new_amount * share), "Remaining time on", at),
        ]  # fmt: skip
    # What the period was billed is what the next proration gives back.
    changed["_billed"] = new_amount if lines else old_amount
    is_billed_now = bool(lines) and change.proration == "always_invoice"
    return Outcome(changed, subscription["billing_cycle_anchor"], lines, is_billed_now)


def _rhythm(price: Object) -> tuple[str, int]:
    return price["recurring"]["interval"], price["recurring"]["interval_count"]


def _net(store: Store, subscription: Object, change: Change) -> int:
    """What the whole period would cost at the new price, after the discount in force."""
    amount = amount_of(change.price, change.quantity)
    discount = discount_in_force(store, subscription, change.at)
    return amount - (
        rounded(Decimal(amount) * Decimal(str(discount["_percent_off"])) / 100) if discount else 0
    )


def _new_period(store: Store, subscription: Object, change: Change) -> Outcome:
    """Another rhythm begins a new period at once, billed in full; what was unused is given back."""
    item, at = item_of(subscription), change.at
    start, end = item["current_period_start"], item["current_period_end"]
    until = boundary_after(at, change.price["recurring"], at)
    changed = priced(item, change.price, change.quantity, at, until)
    lines = []
    if change.proration != "none":
        share = Decimal(end - at) / Decimal(end - start)
        unused = -rounded(item["_billed"] * share)
        lines.append(_prorated(store, subscription, item, unused, "Unused time on", at))
    discount = discount_in_force(store, subscription, at)
    line = period_line(store, subscription, changed, at, until, discount)
    changed["_billed"] = line["amount"] - sum(part["amount"] for part in line["discount_amounts"])
    return Outcome(changed, at, [*lines, line], True)


def _prorated(store: Store, subscription: Object, item: Object, amount: int, words: str, at: int) -> Object:
    product = store.get("product", item["price"]["product"])
    text = f"{words} {product['name']} after {day(at)}"
    return new_line(
        item["price"], amount, text, (at, item_of(subscription)["current_period_end"]),
        quantity=item["quantity"], tax_percent=tax_percent(store, subscription),
        parent=line_parent(subscription, item, proration=True),
    )  # fmt: skip


def preview_change(store: Store, subscription: Object, change: Change) -> Object:
    """The invoice that a change would bring, stored nowhere: at once, or with the next period."""
    outcome = outcome_of(store, subscription, change)
    lines, fields = outcome.lines, invoice_fields(subscription, "upcoming")
    if not outcome.is_billed_now:
        item = outcome.item
        start = item["current_period_end"]
        until = boundary_after(outcome.anchor, item["price"]["recurring"], start)
        discount = discount_in_force(store, subscription, start)
        lines = [*subscription["_pending_lines"], *lines,
                 period_line(store, subscription, item, start, until, discount)]  # fmt: skip
        fields |= {"period_start": item["current_period_start"], "period_end": start}
    customer = store.get("customer", subscription["customer"])
    invoice = unsaved_invoice(store, customer, subscription["currency"], lines, **fields)
    due = max(invoice["total"] + customer["balance"], 0)
    return invoice | {
        "id": f"upcoming_{invoice['id']}", "starting_balance": customer["balance"], "amount_due": due,
        "amount_remaining": due, "next_payment_attempt": store.now(),
    }  # fmt: skip


def change_price(store: Store, subscription: Object, change: Change) -> Object:
    """Do a change. Raises StripeProblem where it must be paid and is not, with nothing changed."""
    outcome = outcome_of(store, subscription, change)
    if not outcome.is_billed_now:
        before = {"items": subscription["items"]}
        subscription = with_item(subscription, outcome.item) | {
            "_pending_lines": [*subscription["_pending_lines"], *outcome.lines]
        }
        store.put(subscription)
        store.tell("customer.subscription.updated", subscription, before=before)
        return subscription
    return _billed_at_once(store, subscription, change, outcome)


def _billed_at_once(store: Store, subscription: Object, change: Change, outcome: Outcome) -> Object:
    customer = store.get("customer", subscription["customer"])
    invoice = draft_invoice(store, customer, subscription["currency"], outcome.lines,
                            **invoice_fields(subscription, "subscription_update"))  # fmt: skip
    subscription |= {"_pending": {"item": outcome.item, "anchor": outcome.anchor, "invoice": invoice["id"]}}
    store.put(subscription)
    invoice = finalize(store, invoice)  # nothing to pay: the change is done by then
    if invoice["status"] == "open" and change.payment != "default_incomplete":
        invoice = charge_subscription(store, subscription, invoice, off_session=change.off_session)
    subscription = store.get("subscription", subscription["id"])
    if invoice["status"] == "paid":
        return subscription
    if store.get("payment_intent", invoice["_intent"])["status"] == "processing":
        return apply_pending(store, subscription)
    if change.payment == "error_if_incomplete":
        raise payment_refused(store, invoice)
    if change.payment == "pending_if_incomplete":
        return _left_pending(store, subscription, invoice)
    schedule_retries(store, store.get("invoice", invoice["id"]))
    subscription = apply_pending(store, subscription)
    return change_status(store, subscription, "past_due")


def _left_pending(store: Store, subscription: Object, invoice: Object) -> Object:
    period_end = item_of(subscription)["current_period_end"]
    subscription |= {
        "latest_invoice": invoice["id"],
        "pending_update": {
            "billing_cycle_anchor": None, "expires_at": min(store.now() + PENDING_SECONDS, period_end),
            "trial_end": None, "trial_from_plan": None,
            "subscription_items": [subscription["_pending"]["item"]],
        },
    }  # fmt: skip
    store.put(subscription)
    store.tell("customer.subscription.updated", subscription, before={"pending_update": None})
    return subscription


def payment_refused(store: Store, invoice: Object, *, has_effect: bool = False) -> StripeProblem:
    """What a call answers whose invoice was not paid."""
    error: dict[str, Any] = dict(invoice["_error"])
    message = error.pop("message", "This payment requires additional user action before it can be completed.")
    code = error.pop("code")
    if code == "requires_action":
        code = "subscription_payment_intent_requires_action"
    members = {name: value for name, value in error.items() if name in ("decline_code", "payment_method")}
    intent = store.find("payment_intent", invoice["_intent"])
    return StripeProblem(402, "card_error", message, code=code, has_effect=has_effect,
                         payment_intent=intent, **members)  # fmt: skip
