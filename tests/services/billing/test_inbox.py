"""The inbox: stored once, processed until it succeeds, replayed on demand."""

import json
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from errors import Conflict, NotFound
from extensions import db
from gateways.stripe_gateway import StripeGateway
from models.inbox import InboxEvent
from sandbox.faults import Fault
from services.billing.inbox import (
    MOST_ATTEMPTS,
    events,
    process_due,
    process_event,
    replay,
    store_event,
)
from services.clock import wall_now
from services.unit_of_work import unit_is_open
from tests.shop import KEY, Shop, end_state, inbox_states

SILENT = dict(kind="500", times=3, method="GET", path="/v1/checkout/sessions")


def bought(shop: Shop) -> dict:
    started = shop.start()
    shop.pay(started.session_id)
    (event,) = shop.events("checkout.session.completed")
    return event


def row_of(event: dict) -> InboxEvent:
    db.session.rollback()
    return db.session.scalars(select(InboxEvent).where(InboxEvent.stripe_event_id == event["id"])).one()


class TestStoreEvent:
    def test_once_by_its_id(self, either_shop: Shop) -> None:
        first = store_event("{}", "evt_1", "x", "")
        assert first is not None
        assert store_event("{}", "evt_1", "x", "") is None
        assert db.session.scalar(select(func.count(InboxEvent.id))) == 1


class TestProcessEvent:
    def test_a_failure_is_kept_and_tried_again_later(self, either_shop: Shop) -> None:
        event = bought(either_shop)
        either_shop.server.faults.plan(Fault(**SILENT))
        assert either_shop.deliver(event).status_code == 200
        row = row_of(event)
        assert (row.state, row.attempts) == ("failed", 1)
        assert row.error and row.next_attempt_at is not None
        assert timedelta(seconds=50) < row.next_attempt_at - wall_now() <= timedelta(seconds=60)
        assert end_state()["lots"] == []
        assert process_due(either_shop.payments) == {}
        with time_machine.travel(wall_now() + timedelta(seconds=61), tick=False):
            assert process_due(either_shop.payments) == {"processed": 1}
        row = row_of(event)
        assert (row.state, row.error, row.next_attempt_at) == ("processed", None, None)
        assert end_state()["lots"] == [(1000, 1000, 0, 0)]

    def test_gives_up_after_many_tries_and_says_so(self, shop: Shop) -> None:
        event = bought(shop)
        silent = "http://127.0.0.1:9"
        quick = StripeGateway(KEY, silent, shop.payments.terms, unit_is_open, retries=0)
        row_id = store_event(_body(event), event["id"], event["type"], event["data"]["object"]["id"])
        assert row_id is not None
        moment = wall_now()
        tries = 0
        while (row := row_of(event)).next_attempt_at is not None:
            moment = max(moment, row.next_attempt_at)
            with time_machine.travel(moment, tick=False):
                assert process_event(row_id, quick) == "failed"
            tries += 1
        assert tries == MOST_ATTEMPTS
        assert moment - row.received_at < timedelta(days=4)

    def test_a_process_that_died_leaves_it_due(self, shop: Shop) -> None:
        event = bought(shop)
        row_id = store_event(_body(event), event["id"], event["type"], event["data"]["object"]["id"])
        assert row_id is not None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("services.billing.inbox._handle", _dies)
            with pytest.raises(KeyboardInterrupt):
                process_event(row_id, shop.payments)
        assert row_of(event).state == "received"
        with time_machine.travel(wall_now() + timedelta(minutes=2), tick=False):
            assert process_due(shop.payments) == {"processed": 1}
        assert end_state()["lots"] == [(1000, 1000, 0, 0)]

    def test_another_instances_event_is_ignored(self, shop: Shop) -> None:
        event = bought(shop)
        event["data"]["object"]["metadata"]["coffer_instance"] = "another"
        shop.deliver(event)
        row = row_of(event)
        assert (row.state, row.error) == ("ignored", "Of another instance.")
        assert end_state()["lots"] == []

    @pytest.mark.parametrize("metadata", [{}, None, [], "x", {"coffer_instance": 5}])
    def test_objects_without_our_metadata_are_ignored(self, shop: Shop, metadata: object) -> None:
        event = bought(shop)
        event["data"]["object"]["metadata"] = metadata
        shop.deliver(event)
        assert row_of(event).state == "ignored"

    def test_kinds_that_nobody_handles_are_ignored(self, shop: Shop) -> None:
        event = bought(shop) | {"type": "invoice.finalized"}
        shop.deliver(event)
        assert row_of(event).state == "ignored"

    @pytest.mark.parametrize("kind", ["checkout.session.completed", "charge.refunded", "refund.updated",
                                      "charge.dispute.created", "customer.deleted",
                                      "payment_intent.succeeded"])  # fmt: skip
    @pytest.mark.parametrize("data", [None, {}, {"object": None}, {"object": []}, {"object": {"id": 7}}, 5])
    def test_odd_objects_harm_nothing(self, shop: Shop, kind: str, data: object) -> None:
        answer = shop.deliver({"id": "evt_odd", "type": kind, "data": data})
        assert answer.status_code == 200
        assert inbox_states()["evt_odd"] in ("ignored", "failed")
        assert end_state()["lots"] == []


class TestReplay:
    def test_doubles_nothing(self, shop: Shop) -> None:
        event = bought(shop)
        shop.deliver(event)
        assert replay(event["id"], shop.payments) == "processed"
        assert end_state()["lots"] == [(1000, 1000, 0, 0)]

    def test_mends_what_failed(self, shop: Shop) -> None:
        event = bought(shop)
        shop.server.faults.plan(Fault(**SILENT))
        shop.deliver(event)
        assert events("failed")[0].stripe_event_id == event["id"]
        assert replay(event["id"], shop.payments) == "processed"
        assert end_state()["lots"] == [(1000, 1000, 0, 0)]

    def test_unknown_or_pruned(self, shop: Shop) -> None:
        with pytest.raises(NotFound):
            replay("evt_none", shop.payments)
        event = bought(shop)
        shop.deliver(event)
        row_of(event).body = None
        db.session.commit()
        with pytest.raises(Conflict, match="pruned"):
            replay(event["id"], shop.payments)


def _body(event: dict) -> str:
    return json.dumps(event)


def _dies(*_: object) -> None:
    raise KeyboardInterrupt
