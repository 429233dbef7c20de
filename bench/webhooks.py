"""From a stored webhook to credited, beside a spend: how much a purchase costs us, the provider left aside.

The provider's answer is given at once by a stand-in, so that what is timed is Coffer's own work: the event is
stored, claimed, the order checked, payment, lot and line written, the event finished.
"""

import contextlib
import itertools
import json
import time
from dataclasses import dataclass

from bench.deduct import spending_with_key
from bench.instance import Instance, instance
from bench.pages import CATALOG
from bench.results import Report, Row
from bench.timing import Sample, median_of, sample_of
from extensions import db
from gateways.payments import CheckoutRequest, CheckoutSession, Terms
from models.inbox import InboxEvent
from services.billing.environment import instance_id
from services.billing.inbox import process_event, store_event
from services.billing.purchases import start_purchase
from services.catalog.presets import load_preset

TITLE = "Webhook to credited"
EVENTS = 150


class PaidAtOnce:
    """A provider whose sessions are paid the moment they are made."""

    terms = Terms(base_url="http://127.0.0.1:5000")

    def __init__(self) -> None:
        self.sessions: dict[str, CheckoutSession] = {}

    def patience(self) -> contextlib.AbstractContextManager[None]:
        """Nothing waits here."""
        return contextlib.nullcontext()

    def create_customer(self, _request: object) -> str:
        """One customer for all."""
        return "cus_bench"

    def create_checkout(self, request: CheckoutRequest) -> CheckoutSession:
        """A session that is paid."""
        made = CheckoutSession(
            id=f"cs_test_{len(self.sessions)}", url="http://127.0.0.1/pay", mode="payment", status="complete",
            is_paid=True, is_live=False, order_id=request.order_id, instance=request.instance,
            account_id=request.account_id, subtotal_cents=request.price_cents, discount_cents=0,
            total_cents=request.price_cents, currency=request.currency,
            payment_intent_id=f"pi_{len(self.sessions)}", invoice_url=None,
        )  # fmt: skip
        self.sessions[made.id] = made
        return made

    def checkout_session(self, session_id: str) -> CheckoutSession:
        """The session that was made."""
        return self.sessions[session_id]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way."""

    event_id: str
    session_id: str
    body: str


def run(quick: bool = False) -> Report:
    """Events and spends in turns, so many of each a round."""
    rounds, count = (2, 30) if quick else (5, EVENTS)
    with instance() as found:
        load_preset(CATALOG)
        provider, spend = PaidAtOnce(), spending_with_key(found)
        credited, spent = [], []
        for number in range(rounds):
            deliveries = [_bought(found, provider, f"{number}-{n}") for n in range(count)]
            spent.append(_timed([spend] * count))
            credited.append(_timed([_crediting(delivery, provider) for delivery in deliveries]))
            assert (
                db.session.query(InboxEvent.id).filter_by(state="processed").count() == (number + 1) * count
            )
            db.session.rollback()
    events, spends = median_of(credited), median_of(spent)
    row = Row(
        "webhook stored, processed and credited",
        f"{events.per_second:,.0f}/s, p50 {events.p50_ms:.2f} ms",
        f"spend under a key {spends.per_second:,.0f}/s",
        events.per_second / spends.per_second,
        0.7,
        1.0,
    )
    return Report("webhooks", TITLE, [row])  # fmt: skip


_numbers = itertools.count(1)


def _bought(found: Instance, provider: PaidAtOnce, key: str) -> Delivery:
    """A purchase that is paid, and the event that tells of it."""
    bought = start_purchase(
        found.account_id,
        "popular",
        request_key=key,
        actor="user:1",
        payments=provider,  # type: ignore[arg-type]
    )
    item = {
        "id": bought.session_id,
        "object": "checkout.session",
        "metadata": {"coffer_instance": instance_id()},
    }
    event_id = f"evt_{next(_numbers)}"
    body = {"id": event_id, "type": "checkout.session.completed", "data": {"object": item}}
    return Delivery(event_id, bought.session_id, json.dumps(body))


def _crediting(delivery: Delivery, provider: PaidAtOnce):
    def credit() -> None:
        row_id = store_event(
            delivery.body, delivery.event_id, "checkout.session.completed", delivery.session_id
        )
        assert row_id is not None
        process_event(row_id, provider)  # type: ignore[arg-type]

    return credit


def _timed(operations: list) -> Sample:
    latencies, began = [], time.perf_counter()
    for operation in operations:
        before = time.perf_counter()
        operation()
        latencies.append(time.perf_counter() - before)
    return sample_of(latencies, time.perf_counter() - began)
