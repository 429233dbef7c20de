"""What happens by itself as time goes by: renewals, retries, ends, invoices that finalise themselves.

Each happens as of the moment it was due, however late somebody looks.
"""

from collections.abc import Callable

from sandbox.billing import collect, default_method, finalize, settle_invoice, void_invoice
from sandbox.checkout import expire_due
from sandbox.payments import settle_intent
from sandbox.periods import boundary_after
from sandbox.store import Object, Query, Store
from sandbox.subscribing import (
    INCOMPLETE_SECONDS,
    bill_period,
    change_status,
    charge_subscription,
    end_subscription,
    forget_pending,
    item_of,
    method_of,
    priced,
    schedule_retries,
    schedule_retry,
    with_item,
)

DEBIT_SECONDS = 86_400
GOING = "kind = 'subscription' AND json_extract(body, '$.status') IN ('active', 'past_due', 'incomplete')"
# When sessions end, drafts finalise themselves and the bank answers to debits.
WAITING = f"""
SELECT json_extract(body, '$.expires_at') FROM objects
WHERE kind = 'checkout.session' AND json_extract(body, '$.status') = 'open'
UNION ALL SELECT json_extract(body, '$.automatically_finalizes_at') FROM objects
WHERE kind = 'invoice' AND json_extract(body, '$.status') = 'draft'
AND json_extract(body, '$.automatically_finalizes_at') IS NOT NULL
UNION ALL SELECT json_extract(body, '$._debited_at') + {DEBIT_SECONDS} FROM objects
WHERE kind = 'payment_intent' AND json_extract(body, '$.status') = 'processing'
AND json_extract(body, '$._session') IS NULL
AND json_extract(body, '$._debited_at') IS NOT NULL
"""
Step = tuple[int, Callable[[Store, Object], None]]


def advance(store: Store) -> int:
    """Do whatever is due by the sandbox's clock, each in its own transaction; return how much was done."""
    done = expire_due(store) + _settle_debits(store) + _finalize_drafts(store)
    for subscription in store.select("subscription", _perhaps_due(store.now())):
        while _take_a_step(store, subscription["id"]):
            done += 1
    return done


def next_due(store: Store) -> int | None:
    """When something is due next by the sandbox's clock; what is overdue is not looked at."""
    moments = [moment for (moment,) in store.query(WAITING)]
    for subscription in store.select("subscription", _going()):
        moments += [moment for moment, _ in _steps(store, subscription)]
    return min((int(moment) for moment in moments if moment > store.now()), default=None)


def _going() -> Query:
    """Subscriptions that are not over. In words that the store's index knows."""
    return Query((GOING,), (), "objects_going")


def _perhaps_due(now: int) -> Query:
    """Subscriptions that time may have something to do with. In words that the store's index knows."""
    return Query((
        GOING,
        "(json_extract(body, '$.items.data[0].current_period_end') <= ? "
        "OR json_extract(body, '$.status') <> 'active' "
        "OR json_type(body, '$.pending_update') = 'object')",
    ), (now,), "objects_going")  # fmt: skip


def _take_a_step(store: Store, subscription_id: str) -> bool:
    """Do the next thing that is due for a subscription; False where there is none."""
    with store.change():
        subscription = store.get("subscription", subscription_id)
        steps = sorted(_steps(store, subscription), key=lambda step: step[0])
        if not steps or steps[0][0] > store.now():
            return False
        moment, do = steps[0]
        with store.as_of(moment):
            do(store, subscription)
        return True


def _steps(store: Store, subscription: Object) -> list[Step]:
    """What lies before a subscription, and when."""
    status, steps = subscription["status"], []
    if subscription["pending_update"]:
        steps.append((subscription["pending_update"]["expires_at"], _drop_pending))
    if status == "incomplete":
        steps.append((subscription["start_date"] + INCOMPLETE_SECONDS, _expire_incomplete))
    retry_at = None
    if status == "past_due":
        retry_at = store.get("invoice", subscription["latest_invoice"])["next_payment_attempt"]
        if retry_at is not None:
            steps.append((retry_at, _try_again))
    if status == "active" or (
        status == "past_due" and (retry_at is None or subscription["cancel_at_period_end"])
    ):
        steps.append((item_of(subscription)["current_period_end"], _end_period))
    return steps


def _drop_pending(store: Store, subscription: Object) -> None:
    invoice = store.get("invoice", subscription["_pending"]["invoice"])
    if invoice["status"] == "open":
        void_invoice(store, invoice)
    subscription = store.get("subscription", subscription["id"])
    if subscription["pending_update"]:
        forget_pending(store, subscription)


def _expire_incomplete(store: Store, subscription: Object) -> None:
    invoice = store.get("invoice", subscription["latest_invoice"])
    if invoice["status"] == "open":
        void_invoice(store, invoice)
    subscription = store.get("subscription", subscription["id"])
    if subscription["status"] == "incomplete":
        change_status(store, subscription, "incomplete_expired", ended_at=store.now())


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
    if invoice["status"] == "paid":
        return
    invoice = schedule_retries(store, invoice)
    if "_error" in charge_subscription(store, subscription, invoice, off_session=True):
        change_status(store, store.get("subscription", subscription["id"]), "past_due")


def _try_again(store: Store, subscription: Object) -> None:
    invoice = schedule_retry(store, store.get("invoice", subscription["latest_invoice"]))
    outcome = collect(store, invoice, method_of(store, subscription), off_session=True)
    if "_error" in outcome and invoice["next_payment_attempt"] is None:
        end_subscription(store, store.get("subscription", subscription["id"]), "payment_failed")


def _finalize_drafts(store: Store) -> int:
    """Drafts that advance by themselves do so an hour after they were made, and are collected."""
    due = Query((
        "kind = 'invoice'", "json_extract(body, '$.status') = 'draft'",
        "json_extract(body, '$.automatically_finalizes_at') <= ?",
    ), (store.now(),), "objects_drafts")  # fmt: skip
    drafts = [draft["id"] for draft in store.select("invoice", due)]
    for draft_id in drafts:
        with store.change():
            invoice = store.find("invoice", draft_id)
            if invoice is None or invoice["status"] != "draft":
                continue  # somebody was faster
            with store.as_of(invoice["automatically_finalizes_at"]):
                _collect_draft(store, invoice)
    return len(drafts)


def _collect_draft(store: Store, invoice: Object) -> None:
    if not invoice["lines"]["data"]:  # nothing to finalise: it stays a draft
        store.put(invoice | {"automatically_finalizes_at": None})
        return
    invoice = finalize(store, invoice)
    if invoice["status"] == "open":
        collect(store, invoice, default_method(store, invoice), off_session=True)


def _settle_debits(store: Store) -> int:
    """The bank answers a day later to the debits that pay invoices."""
    due = Query((
        "kind = 'payment_intent'", "json_extract(body, '$.status') = 'processing'",
        "json_extract(body, '$._debited_at') <= ?", "json_extract(body, '$._session') IS NULL",
    ), (store.now() - DEBIT_SECONDS,), "objects_debits")  # fmt: skip
    intents = [intent["id"] for intent in store.select("payment_intent", due)]
    for intent_id in intents:
        with store.change():
            intent = store.get("payment_intent", intent_id)
            if intent["status"] != "processing":
                continue  # somebody was faster
            with store.as_of(intent["_debited_at"] + DEBIT_SECONDS):
                settle_intent(store, intent)
                settle_invoice(store, store.get("invoice", intent["_invoice"]))
    return len(intents)
