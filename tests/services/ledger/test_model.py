"""Random operations on the ledger and on a plain model of its rules agree, step by step.

By default a few hundred steps on each database. ``LEDGER_MODEL_STEPS=5000`` runs that many;
``LEDGER_MODEL_STEPS=100000`` is for the day before a release.
"""

import os
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from errors import CofferError
from extensions import db
from services.clock import from_microseconds, to_microseconds
from services.ledger import balances
from services.ledger.spending_caps import set_spending_cap
from tests.conftest import assert_ledger_is_whole
from tests.services.ledger.desk import Clock, Desk, make_payment
from tests.services.ledger.model import DAY, Model, Refused

STEPS_OF_A_RUN = 40
TOTAL_STEPS = int(os.environ.get("LEDGER_MODEL_STEPS", "240"))
MINUTE = 60 * 10**6

amounts = st.integers(1, 40)
who = st.integers(0, 1)
which = st.integers(0, 10**6)
spans = st.sampled_from([MINUTE, 10 * MINUTE, 60 * MINUTE, DAY, 3 * DAY])


class LedgerAgainstModel(RuleBasedStateMachine):
    """Two accounts; what one word does to the ledger it does to the model."""

    clock: Clock

    def __init__(self) -> None:
        super().__init__()
        self.desks = [Desk.open(), Desk.open()]
        self.model = Model(to_microseconds(self.clock.now), 2)
        self.hold_ids: list[list[int]] = [[], []]
        self.spend_ids: list[list[int]] = [[], []]
        self.payments: list[tuple[int, int, int]] = []  # account, payment, refunded cents
        self.lot_numbers: dict[int, int] = {}

    def both(self, ledger: Callable[[], Any], model: Callable[[], Any]) -> Any:
        """Do it twice: the same refusal, or none."""
        expected = None
        try:
            model()
        except Refused as refused:
            expected = refused.code
        try:
            done = ledger()
        except CofferError as error:
            assert error.code == expected, f"{error.code}: {error.detail}"
            return None
        assert expected is None, f"the ledger did not refuse: {expected}"
        return done

    @rule(
        n=who,
        amount=amounts,
        source=st.sampled_from(["bonus", "subscription", "purchase"]),
        lasts=st.one_of(st.none(), spans),
        priority=st.sampled_from([None, None, 0, 100, 1000]),
    )
    def grant(self, n: int, amount: int, source: str, lasts: int | None, priority: int | None) -> None:
        expires_at = None if lasts is None else self.model.now + lasts
        given: dict[str, Any] = {"expires_at": expires_at}
        if priority is not None:
            given["priority"] = priority
        values = given | {"expires_at": expires_at and from_microseconds(expires_at)}
        if source == "purchase":
            payment = make_payment(self.desks[n].account_id)
            given["payment"] = values["payment_id"] = payment
            self.payments.append((n, payment, 0))
        self.both(
            lambda: self.desks[n].grant(amount, source, **values),
            lambda: self.model.grant(self.model.accounts[n], source, amount, **given),
        )

    @rule(n=who, amount=amounts)
    def spend(self, n: int, amount: int) -> None:
        done = self.both(
            lambda: self.desks[n].spend(amount), lambda: self.model.spend(self.model.accounts[n], amount)
        )
        if done:
            self.spend_ids[n].append(done.transaction_id)

    @rule(n=who, cap=st.one_of(st.none(), st.integers(1, 200)))
    def set_cap(self, n: int, cap: int | None) -> None:
        set_spending_cap(self.desks[n].account_id, "credits", cap, "user:1")
        self.model.accounts[n].cap = cap

    @rule(n=who, amount=amounts)
    def adjust_down(self, n: int, amount: int) -> None:
        self.both(
            lambda: self.desks[n].adjust_down(amount),
            lambda: self.model.adjust_down(self.model.accounts[n], amount),
        )

    @rule(n=who, amount=amounts, lasts=st.sampled_from([MINUTE, 10 * MINUTE, DAY]))
    def hold(self, n: int, amount: int, lasts: int) -> None:
        done = self.both(
            lambda: self.desks[n].hold(amount, expires_in=lasts // 10**6),
            lambda: self.model.hold(self.model.accounts[n], amount, lasts),
        )
        if done:
            self.hold_ids[n].append(done)

    @precondition(lambda self: any(self.hold_ids))
    @rule(n=who, hold=which, amount=amounts)
    def capture(self, n: int, hold: int, amount: int) -> None:
        if not self.hold_ids[n]:
            return
        hold %= len(self.hold_ids[n])
        done = self.both(
            lambda: self.desks[n].capture(self.hold_ids[n][hold], amount),
            lambda: self.model.capture(self.model.accounts[n], hold, amount),
        )
        if done:
            self.spend_ids[n].append(done.transaction_id)

    @precondition(lambda self: any(self.hold_ids))
    @rule(n=who, hold=which)
    def release(self, n: int, hold: int) -> None:
        if self.hold_ids[n]:
            hold %= len(self.hold_ids[n])
            self.both(
                lambda: self.desks[n].release(self.hold_ids[n][hold]),
                lambda: self.model.release(self.model.accounts[n], hold),
            )

    @precondition(lambda self: any(self.spend_ids))
    @rule(n=who, spend=which, amount=amounts)
    def refund(self, n: int, spend: int, amount: int) -> None:
        if self.spend_ids[n]:
            spend %= len(self.spend_ids[n])
            self.both(
                lambda: self.desks[n].refund(self.spend_ids[n][spend], amount),
                lambda: self.model.refund(self.model.accounts[n], spend, amount),
            )

    @rule(n=who, amount=amounts)
    def transfer(self, n: int, amount: int) -> None:
        self.both(
            lambda: self.desks[n].transfer(self.desks[1 - n], amount),
            lambda: self.model.transfer(self.model.accounts[n], self.model.accounts[1 - n], amount),
        )

    @precondition(lambda self: self.payments)
    @rule(pick=which, cents=st.integers(1, 400))
    def refund_payment(self, pick: int, cents: int) -> None:
        pick %= len(self.payments)
        n, payment, refunded = self.payments[pick]
        refunded = min(1000, refunded + cents)
        self.payments[pick] = (n, payment, refunded)
        self.both(
            lambda: self.desks[n].revoke(payment, refunded, 1000),
            lambda: self.model.revoke(self.model.accounts[n], payment, refunded, 1000),
        )

    @rule(span=spans, short=st.sampled_from([0, 0, 1]))
    def advance(self, span: int, short: int) -> None:
        self.clock.advance(microseconds=span - short)
        self.model.advance(span - short)

    @rule(n=who)
    def look(self, n: int) -> None:
        """A read books what is due; until then the next check sees it computed by the model alone."""
        assert self.desks[n].balance == self.model.accounts[n].balance

    @invariant()
    def agree(self) -> None:
        for desk, account in zip(self.desks, self.model.accounts, strict=True):
            lots = list(
                balances._effective_lots(desk.account_id, 1, self.model.now, open_only=True)
            )  # as a reader sees them who cannot write
            found = [(lot.id, remaining, held) for lot, remaining, held in lots]
            expected = account.open_lots()
            assert [pair[1:] for pair in found] == [pair[1:] for pair in expected]
            for (grant_id, _, _), (number, _, _) in zip(found, expected, strict=True):
                assert self.lot_numbers.setdefault(grant_id, number) == number
            assert sum(lot.unrecovered for lot in desk.lots() if lot.remaining) >= 0

    def teardown(self) -> None:
        for desk, account in zip(self.desks, self.model.accounts, strict=True):
            position = desk.position()
            assert (position.balance, position.held, position.subscription) == (
                account.balance, account.held, account.subscription,
            )  # fmt: skip
            assert [(lot.revoked, lot.unrecovered) for lot in desk.lots()] == [
                (lot.revoked, lot.unrecovered) for lot in account.lots
            ]
        assert_ledger_is_whole()
        db.session.remove()


@pytest.mark.slow
class TestRandomOperations:
    def test_ledger_and_model_agree(self, either_app: Flask, clock: Clock) -> None:
        machine = type("Machine", (LedgerAgainstModel,), {"clock": clock})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=max(1, TOTAL_STEPS // STEPS_OF_A_RUN),
                stateful_step_count=STEPS_OF_A_RUN,
                deadline=None,
                print_blob=True,
                phases=(Phase.generate,),  # forty steps can be read as they are; shrinking takes minutes
                suppress_health_check=list(HealthCheck),
            ),
        )
