"""What happens by itself as time goes by: renewals, retries, ends, invoices that finalise themselves."""

from sandbox.billing import collect, finalize, settle_invoice, void_invoice
from sandbox.checkout import expire_due
from sandbox.payments import settle_intent
from sandbox.periods import boundary_after
from sandbox.store import Object, Query, Store
from sandbox.subscribing import (
    bill_period,
    change_status,
    charge_subscription,
    end_subscription,
    forget_pending,
    item_of,
    method_of,
    priced,
    with_item,
)

DAY_SECONDS = 86_400
# After the first failure; after the last of them the subscription ends.
RETRY_AFTER_DAYS = (3, 5, 7)
INCOMPLETE_SECONDS = 23 * 3_600
DEBIT_SECONDS = DAY_SECONDS


def advance(store: Store) -> int:
    """Do whatever is due by the sandbox's clock, each in its own transaction; return how much was done."""
    done = expire_due(store) + _settle_debits(store) + _finalize_drafts(store)
    for subscription in store.select("subscription", _still_going()):
        while _take_a_step(store, subscription["id"]):
            done += 1
    return done


def _still_going() -> Query:
    return Query().any_of("$.status", ["active", "past_due", "incomplete"])


def _take_a_step(store: Store, subscription_id: str) -> bool:
    """Do the next thing that is due for a subscription; False where there is none."""
    with store.change():
        subscription, now = store.get("subscription", subscription_id), store.now()
        waiting = subscription["pending_update"]
        if waiting and waiting["expires_at"] <= now:
            _drop_pending(store, subscription)
        elif subscription["status"] == "incomplete":
            return _expire_incomplete(store, subscription)
        elif subscription["status"] == "past_due":
            return _try_again(store, subscription)
        elif subscription["status"] == "active" and item_of(subscription)["current_period_end"] <= now:
            _end_period(store, subscription)
        else:
            return False
        return True


def _drop_pending(store: Store, subscription: Object) -> None:
    invoice = store.get("invoice", subscription["_pending"]["invoice"])
    if invoice["status"] == "open":
        void_invoice(store, invoice)
    subscription = store.get("subscription", subscription["id"])
    if subscription["pending_update"]:
        forget_pending(store, subscription)


def _expire_incomplete(store: Store, subscription: Object) -> bool:
    if subscription["start_date"] + INCOMPLETE_SECONDS > store.now():
        return False
    invoice = store.get("invoice", subscription["latest_invoice"])
    if invoice["status"] == "open":
        void_invoice(store, invoice)
    change_status(store, subscription, "incomplete_expired", ended_at=store.now())
    return True


def _end_period(store: Store, subscription: Object) -> None:
    item = item_of(subscription)
    end = item["current_period_end"]
    if subscription["cancel_at_period_end"]:
        end_subscription(store, subscription, "cancellation_requested", end)
        return
    until = boundary_after(subscription["billing_cycle_anchor"], item["price"]["recurring"], end)
    before = {"items": subscription["items"], "latest_invoice": subscription["latest_invoice"]}
    subscription = with_item(subscription, priced(item, item["price"], item["quantity"], end, until))
    store.put(subscription)
    subscription, invoice = bill_period(store, subscription, "subscription_cycle")
    store.tell("customer.subscription.updated", subscription, before=before)
    if charge_subscription(store, subscription, invoice, off_session=True)["status"] == "open":
        _first_failure(store, subscription["id"], invoice["id"])


def _first_failure(store: Store, subscription_id: str, invoice_id: str) -> None:
    invoice = store.get("invoice", invoice_id)
    next_try = store.now() + RETRY_AFTER_DAYS[0] * DAY_SECONDS
    store.put(invoice | {"next_payment_attempt": next_try, "_failed_at": store.now(), "_tries": 1})
    change_status(store, store.get("subscription", subscription_id), "past_due")


def _try_again(store: Store, subscription: Object) -> bool:
    invoice = store.get("invoice", subscription["latest_invoice"])
    if invoice["next_payment_attempt"] is None or invoice["next_payment_attempt"] > store.now():
        return False
    outcome = collect(store, invoice, method_of(store, subscription), off_session=True)
    if outcome["status"] != "open":
        return True
    invoice, tries = store.get("invoice", invoice["id"]), invoice["_tries"]
    if tries < len(RETRY_AFTER_DAYS):
        at = invoice["_failed_at"] + RETRY_AFTER_DAYS[tries] * DAY_SECONDS
        store.put(invoice | {"next_payment_attempt": at, "_tries": tries + 1})
        return True
    store.put(invoice | {"next_payment_attempt": None})
    end_subscription(store, store.get("subscription", subscription["id"]), "payment_failed")
    return True


def _finalize_drafts(store: Store) -> int:
    """Drafts that advance by themselves do so an hour after they were made, and are collected."""
    due = Query().where("$.status", "draft").also(
        "json_extract(body, '$.automatically_finalizes_at') <= ?", store.now()
    )  # fmt: skip
    drafts = store.select("invoice", due)
    for draft in drafts:
        with store.change():
            invoice = finalize(store, store.get("invoice", draft["id"]))
            if invoice["status"] == "open":
                customer = store.get("customer", invoice["customer"])
                chosen = invoice["default_payment_method"]
                chosen = chosen or customer["invoice_settings"]["default_payment_method"]
                collect(store, invoice, store.find("payment_method", chosen), off_session=True)
    return len(drafts)


def _settle_debits(store: Store) -> int:
    """The bank answers a day later to the debits that pay invoices."""
    due = Query().where("$.status", "processing").also(
        "json_extract(body, '$._invoice') IS NOT NULL AND json_extract(body, '$.created') <= ?",
        store.now() - DEBIT_SECONDS,
    )  # fmt: skip
    intents = store.select("payment_intent", due)
    for intent in intents:
        with store.change():
            settle_intent(store, intent)
            settle_invoice(store, store.get("invoice", intent["_invoice"]))
    return len(intents)
