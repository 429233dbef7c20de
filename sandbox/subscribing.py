"""Subscriptions as they come about, and what they bill for a period."""

from typing import Any

from sandbox.billing import (
    AFTER_GIVEN_UP,
    AFTER_PAID,
    AFTER_VOIDED,
    collect,
    discounted,
    draft_invoice,
    finalize,
    new_line,
)
from sandbox.catalog import amount_of
from sandbox.documents import money
from sandbox.periods import boundary_after
from sandbox.shapes import EMPTY_TAX
from sandbox.store import Object, Store

LIVING = ("active", "past_due", "trialing", "unpaid")
INCOMPLETE_SECONDS = 23 * 3_600
DAY_SECONDS = 86_400
# After the first failure; after the last of them the subscription ends.
RETRY_AFTER_DAYS = (3, 5, 7)
DISCOUNT_END_MONTHS = {"interval": "month", "interval_count": 1}


def new_subscription(
    store: Store, customer: Object, price: Object, quantity: int, *, status: str, metadata: dict[str, str],
    method_id: str | None = None, discount: Object | None = None, description: str | None = None,
    taxed: bool = False, payment_settings: Object | None = None,
) -> Object:  # fmt: skip
    """A subscription whose first period begins now; stored, not told of."""
    now = store.now()
    subscription = store.new(
        "subscription", "sub", application=None, application_fee_percent=None,
        automatic_tax={"enabled": taxed, "disabled_reason": None,
                       "liability": {"type": "self"} if taxed else None},
        billing_cycle_anchor=now, billing_cycle_anchor_config=None,
        billing_mode={"type": "flexible", "flexible": {"proration_discounts": "included"},
                      "updated_at": now},
        billing_schedules=[], billing_thresholds=None, cancel_at=None, cancel_at_period_end=False,
        canceled_at=None, cancellation_details={"comment": None, "feedback": None, "reason": None},
        collection_method="charge_automatically", currency=price["currency"], customer=customer["id"],
        days_until_due=None, default_payment_method=method_id, default_source=None, default_tax_rates=[],
        description=description, discounts=[discount["id"]] if discount else [], ended_at=None,
        invoice_settings={"account_tax_ids": None, "issuer": {"type": "self"}}, latest_invoice=None,
        metadata=metadata, next_pending_invoice_item_invoice=None, on_behalf_of=None, pause_collection=None,
        payment_settings={"payment_method_options": None, "payment_method_types": None,
                          "save_default_payment_method": "off"} | (payment_settings or {}),
        pending_invoice_item_interval=None, pending_setup_intent=None, pending_update=None, schedule=None,
        start_date=now, status=status, test_clock=None, transfer_data=None, trial_end=None,
        trial_settings={"end_behavior": {"missing_payment_method": "create_invoice"}}, trial_start=None,
        _pending_lines=[], _pending=None,
    )  # fmt: skip
    item = store.new("subscription_item", "si", discounts=[], metadata={}, tax_rates=[], quantity=quantity,
                     billing_thresholds=None, subscription=subscription["id"])  # fmt: skip
    del item["livemode"]
    end = boundary_after(now, price["recurring"], now)
    subscription["items"] = {
        "object": "list", "has_more": False, "url": f"/v1/subscription_items?subscription={subscription['id']}",
        "data": [priced(item, price, quantity, now, end)],
    }  # fmt: skip
    return store.put(subscription)


def priced(item: Object, price: Object, quantity: int, start: int, end: int) -> Object:
    """An item of a subscription at a price for a period."""
    return item | {
        "price": price, "plan": _plan(price), "quantity": quantity, "current_period_start": start,
        "current_period_end": end, "_billed": item.get("_billed", 0),
    }  # fmt: skip


def _plan(price: Object) -> Object:
    """A price in the words of the older plans, which items still carry."""
    recurring = price["recurring"]
    same = ("id", "active", "billing_scheme", "created", "currency", "livemode", "metadata", "nickname",
            "product", "tiers_mode")  # fmt: skip
    return {name: price[name] for name in same} | {
        "object": "plan", "amount": price["unit_amount"], "amount_decimal": price["unit_amount_decimal"],
        "interval": recurring["interval"], "interval_count": recurring["interval_count"], "meter": None,
        "transform_usage": None, "trial_period_days": None, "usage_type": recurring["usage_type"],
    }  # fmt: skip


def item_of(subscription: Object) -> Object:
    """The one item of a subscription: the sandbox knows no more."""
    return subscription["items"]["data"][0]


def with_item(subscription: Object, item: Object) -> Object:
    """The subscription with another item in place of its own."""
    return subscription | {"items": subscription["items"] | {"data": [item]}}


def new_discount(store: Store, coupon: Object, subscription_id: str | None, customer_id: str) -> Object:
    """A coupon put to use from now on."""
    now, months = store.now(), coupon["duration_in_months"]
    end = None
    if coupon["duration"] == "repeating":
        end = now
        for _ in range(months):
            end = boundary_after(now, DISCOUNT_END_MONTHS, end)
    discount = store.new(
        "discount", "di", source={"type": "coupon", "coupon": coupon["id"]}, checkout_session=None,
        customer=customer_id, start=now, end=end, invoice=None, invoice_item=None, promotion_code=None,
        subscription=subscription_id, subscription_item=None, _percent_off=coupon["percent_off"],
        _duration=coupon["duration"],
    )  # fmt: skip
    del discount["created"], discount["livemode"]
    store.put(coupon | {"times_redeemed": coupon["times_redeemed"] + 1})
    return store.put(discount)


def discount_in_force(store: Store, subscription: Object, moment: int) -> Object | None:
    """The discount of a subscription for what begins at a moment."""
    for discount_id in subscription["discounts"]:
        discount = store.get("discount", discount_id)
        if discount["end"] is None or moment < discount["end"]:
            return discount
    return None


def period_line(
    store: Store, subscription: Object, item: Object, start: int, end: int, discount: Object | None
) -> Object:
    """What a subscription bills for a period."""
    price, quantity = item["price"], item["quantity"]
    product = store.get("product", price["product"])
    each = money(price["unit_amount"] or 0, price["currency"])
    text = f"{quantity} × {product['name']} (at {each} / {price['recurring']['interval']})"
    return new_line(
        price, amount_of(price, quantity), text, (start, end), quantity=quantity, discount=discount,
        tax_percent=tax_percent(store, subscription), parent=line_parent(subscription, item),
    )  # fmt: skip


def tax_percent(store: Store, subscription: Object) -> int:
    """What automatic tax adds to a subscription's lines."""
    return store.tax_percent if subscription["automatic_tax"]["enabled"] else 0


def line_parent(subscription: Object, item: Object, *, proration: bool = False) -> Object:
    """Which subscription a line belongs to."""
    return {
        "type": "subscription_item_details", "invoice_item_details": None,
        "subscription_item_details": {
            "invoice_item": None, "proration": proration, "proration_details": None,
            "subscription": subscription["id"], "subscription_item": item["id"],
        },
    }  # fmt: skip


def invoice_fields(subscription: Object, reason: str) -> dict[str, Any]:
    """What an invoice says of its subscription."""
    item, taxed = item_of(subscription), subscription["automatic_tax"]["enabled"]
    return {
        "billing_reason": reason, "default_payment_method": subscription["default_payment_method"],
        "period_start": item["current_period_start"], "period_end": item["current_period_end"],
        "description": subscription["description"],
        "automatic_tax": EMPTY_TAX | {"enabled": taxed, "status": "complete" if taxed else None},
        "parent": {
            "type": "subscription_details", "quote_details": None,
            "subscription_details": {"metadata": subscription["metadata"],
                                     "subscription": subscription["id"]},
        },
    }  # fmt: skip


def bill_period(
    store: Store, subscription: Object, reason: str, *, intent: Object | None = None
) -> tuple[Object, Object]:
    """Bill the current period with whatever waits to be billed. The subscription and its open or paid invoice."""
    item = item_of(subscription)
    start, end = item["current_period_start"], item["current_period_end"]
    discount = discount_in_force(store, subscription, start)
    line = period_line(store, subscription, item, start, end, discount)
    item |= {"_billed": line["amount"] - discounted(line["amount"], discount)}
    customer = store.get("customer", subscription["customer"])
    invoice = draft_invoice(store, customer, subscription["currency"],
                            [*subscription["_pending_lines"], line],
                            **invoice_fields(subscription, reason))  # fmt: skip
    used = [] if discount is not None and discount["_duration"] == "once" else subscription["discounts"]
    subscription = with_item(subscription, item) | {
        "latest_invoice": invoice["id"], "_pending_lines": [], "discounts": used,
    }  # fmt: skip
    store.put(subscription)
    invoice = finalize(store, invoice, intent)
    return store.get("subscription", subscription["id"]), invoice


def method_of(store: Store, subscription: Object) -> Object | None:
    """What a subscription is charged to: its own method, else the customer's default one."""
    customer = store.get("customer", subscription["customer"])
    own = store.find("payment_method", subscription["default_payment_method"])
    if own is not None and own["customer"] == customer["id"]:
        return own
    return store.find("payment_method", customer["invoice_settings"]["default_payment_method"])


def charge_subscription(store: Store, subscription: Object, invoice: Object, *, off_session: bool) -> Object:
    """Try to collect an invoice of a subscription, unless it is paid; see ``collect``."""
    if invoice["status"] == "paid":
        return invoice
    return collect(store, invoice, method_of(store, subscription), off_session=off_session)


def change_status(store: Store, subscription: Object, status: str, **more: Any) -> Object:
    """Give a subscription another status and tell of it."""
    before = {"status": subscription["status"]}
    subscription |= {"status": status, **more}
    store.put(subscription)
    store.tell("customer.subscription.updated", subscription, before=before)
    return subscription


def end_subscription(store: Store, subscription: Object, reason: str, at: int | None = None) -> Object:
    """A subscription is over."""
    ended_at = store.now() if at is None else at
    details = subscription["cancellation_details"]
    subscription |= {
        "status": "canceled", "ended_at": ended_at, "canceled_at": subscription["canceled_at"] or ended_at,
        "cancellation_details": details | {"reason": details["reason"] or reason},
        "pending_update": None, "_pending": None,
    }  # fmt: skip
    store.put(subscription)
    last = store.find("invoice", subscription["latest_invoice"])
    if last is not None and last["next_payment_attempt"]:
        store.put(last | {"next_payment_attempt": None})
    store.tell("customer.subscription.deleted", subscription)
    return subscription


def subscription_of_invoice(store: Store, invoice: Object) -> Object | None:
    """The subscription that an invoice bills, if any."""
    parent = invoice["parent"] or {}
    return store.find("subscription", (parent.get("subscription_details") or {}).get("subscription"))


def apply_pending(store: Store, subscription: Object) -> Object:
    """The change that waited for its payment takes effect."""
    waiting, before = subscription["_pending"], {"items": subscription["items"]}
    subscription = with_item(subscription, waiting["item"]) | {
        "billing_cycle_anchor": waiting["anchor"], "pending_update": None, "_pending": None,
        "latest_invoice": waiting["invoice"],
    }  # fmt: skip
    store.put(subscription)
    store.tell("customer.subscription.updated", subscription, before=before)
    store.tell("customer.subscription.pending_update_applied", subscription)
    return subscription


def forget_pending(store: Store, subscription: Object) -> Object:
    """The change that waited for its payment is off."""
    subscription |= {"pending_update": None, "_pending": None}
    store.put(subscription)
    store.tell("customer.subscription.pending_update_expired", subscription)
    return subscription


def schedule_retries(store: Store, invoice: Object) -> Object:
    """An invoice that is about to be charged for the first time: when that is tried again."""
    now = store.now()
    return store.put(invoice | {
        "next_payment_attempt": now + RETRY_AFTER_DAYS[0] * DAY_SECONDS, "_failed_at": now, "_tries": 1,
    })  # fmt: skip


def schedule_retry(store: Store, invoice: Object) -> Object:
    """An invoice that is about to be charged again: when the next time is, if there is one."""
    tries, next_at = invoice["_tries"], None
    if tries < len(RETRY_AFTER_DAYS):
        next_at = invoice["_failed_at"] + RETRY_AFTER_DAYS[tries] * DAY_SECONDS
    return store.put(invoice | {"next_payment_attempt": next_at, "_tries": tries + 1})


def cancelling(store: Store, subscription: Object, *, ends: bool) -> dict[str, Any]:
    """What changes where a subscription is to end with its period, or to go on after all."""
    reason = "cancellation_requested" if ends else None
    return {
        "cancel_at_period_end": ends, "canceled_at": store.now() if ends else None,
        "cancel_at": item_of(subscription)["current_period_end"] if ends else None,
        "cancellation_details": subscription["cancellation_details"] | {"reason": reason},
    }  # fmt: skip


def _after_paid(store: Store, invoice: Object) -> None:
    subscription = subscription_of_invoice(store, invoice)
    if subscription is None:
        return
    waiting = subscription["_pending"]
    if waiting and waiting["invoice"] == invoice["id"]:
        subscription = apply_pending(store, subscription)
    if subscription["payment_settings"]["save_default_payment_method"] == "on_subscription":
        subscription = _with_method_of(store, subscription, invoice)
    if subscription["latest_invoice"] == invoice["id"] and subscription["status"] in (
        "incomplete",
        "past_due",
    ):
        change_status(store, subscription, "active")


def _with_method_of(store: Store, subscription: Object, invoice: Object) -> Object:
    """What paid an invoice is kept, and pays from now on."""
    intent = store.find("payment_intent", invoice["_intent"]) or {"payment_method": None}
    method = store.find("payment_method", intent["payment_method"])
    if method is None or method["id"] == subscription["default_payment_method"]:
        return subscription
    if method["customer"] is None:
        method |= {"customer": subscription["customer"], "_is_set_up": True}
        store.put(method)
        store.tell("payment_method.attached", method)
    before = {"default_payment_method": subscription["default_payment_method"]}
    subscription |= {"default_payment_method": method["id"]}
    store.put(subscription)
    store.tell("customer.subscription.updated", subscription, before=before)
    return subscription


def _after_voided(store: Store, invoice: Object) -> None:
    subscription = subscription_of_invoice(store, invoice)
    if subscription is None:
        return
    waiting = subscription["_pending"]
    if waiting and waiting["invoice"] == invoice["id"]:
        forget_pending(store, subscription)
    elif subscription["latest_invoice"] == invoice["id"] and subscription["status"] == "incomplete":
        change_status(store, subscription, "incomplete_expired", ended_at=store.now())
    else:
        _after_given_up(store, invoice)


def _after_given_up(store: Store, invoice: Object) -> None:
    """A subscription whose last invoice nobody waits for any more goes on."""
    subscription = subscription_of_invoice(store, invoice)
    if (
        subscription
        and subscription["latest_invoice"] == invoice["id"]
        and subscription["status"] == "past_due"
    ):
        change_status(store, subscription, "active")


AFTER_PAID.append(_after_paid)
AFTER_VOIDED.append(_after_voided)
AFTER_GIVEN_UP.append(_after_given_up)
