"""One key, one effect."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from errors import (
    AccountFrozen,
    BalanceLimit,
    CofferError,
    Conflict,
    HoldNotOpen,
    IdempotencyKeyReused,
    InsufficientCredits,
    InvalidRequest,
    NotFound,
    StorageUnavailable,
)
from extensions import db
from models.ledger import IdempotencyKey
from services.idempotency import Key, fingerprint_of, keep_answer, run_once
from tests.services.ledger.desk import Desk


@pytest.fixture
def desk(either_app: object) -> Desk:
    desk = Desk.open()
    desk.grant(100)
    return desk


def key_of(desk: Desk, key: str = "k", fingerprint: str = "f") -> Key:
    return Key(desk.account_id, key, fingerprint)


def kept_keys() -> list[tuple[int, str, int]]:
    db.session.rollback()
    rows = db.session.scalars(select(IdempotencyKey)).all()
    return [(row.scope, row.key, row.status) for row in rows]


class TestRunOnce:
    def test_replay_returns_the_first_answer_and_does_nothing(self, desk: Desk) -> None:
        def spend() -> tuple[int, Any]:
            return 200, {"after": desk.spend(7).balance_after}

        first = run_once(key_of(desk), spend)
        second = run_once(key_of(desk), spend)
        assert (first.replayed, second.replayed) == (False, True)
        assert first.body == second.body == json.dumps({"after": 93})
        assert desk.balance == 93

    def test_without_a_key_each_call_acts(self, desk: Desk) -> None:
        for _ in range(2):
            run_once(None, lambda: (200, desk.spend(7).balance_after))
        assert desk.balance == 86
        assert kept_keys() == []

    def test_same_key_for_another_request_is_refused(self, desk: Desk) -> None:
        run_once(key_of(desk), lambda: (200, desk.spend(7).balance_after))
        with pytest.raises(IdempotencyKeyReused):
            run_once(key_of(desk, fingerprint="other"), lambda: (200, desk.spend(7).balance_after))
        assert desk.balance == 93

    def test_another_account_has_keys_of_its_own(self, desk: Desk) -> None:
        other = Desk.open()
        other.grant(100)
        for each in (desk, other):
            run_once(key_of(each), lambda each=each: (200, each.spend(7).balance_after))
        assert (desk.balance, other.balance) == (93, 93)

    @pytest.mark.parametrize(
        "refusal", [InsufficientCredits(), NotFound(), Conflict(), HoldNotOpen(), AccountFrozen()]
    )
    def test_refusal_decided_inside_is_replayed_though_it_would_fit_now(
        self, desk: Desk, refusal: CofferError
    ) -> None:
        def refuse() -> tuple[int, Any]:
            desk.spend(1)
            raise refusal

        first = run_once(key_of(desk), refuse)
        again = run_once(key_of(desk), lambda: (200, desk.spend(1).balance_after))
        assert first.status == again.status == refusal.status
        assert again.replayed and json.loads(again.body)["code"] == refusal.code
        assert desk.balance == 100

    @pytest.mark.parametrize(
        "refusal",
        [
            InvalidRequest.of("amount", "no"),
            BalanceLimit(),
            StorageUnavailable(),
            Conflict(retry_after_seconds=1),
        ],
    )
    def test_other_refusals_are_not_kept(self, desk: Desk, refusal: CofferError) -> None:
        def refuse() -> tuple[int, Any]:
            raise refusal

        with pytest.raises(type(refusal)):
            run_once(key_of(desk), refuse)
        assert kept_keys() == []
        assert run_once(key_of(desk), lambda: (200, desk.spend(1).balance_after)).status == 200

    def test_error_in_the_operation_keeps_neither_effect_nor_key(self, desk: Desk) -> None:
        def crash() -> tuple[int, Any]:
            desk.spend(1)
            raise RuntimeError("a bug")

        with pytest.raises(RuntimeError):
            run_once(key_of(desk), crash)
        assert (desk.balance, kept_keys()) == (100, [])


class TestKeepAnswer:
    def test_twin_that_was_first_wins(self, desk: Desk) -> None:
        first = keep_answer(key_of(desk), 402, {"code": "a"})
        second = keep_answer(key_of(desk), 402, {"code": "b"})
        assert second.replayed and second.body == first.body


class TestFingerprint:
    def test_order_of_members_does_not_matter_and_values_do(self) -> None:
        one, other = {"x": 1, "y": 2}, {"y": 2, "x": 1}
        assert fingerprint_of("POST", "/a", one) == fingerprint_of("POST", "/a", other)
        assert fingerprint_of("POST", "/a", {"x": 1}) != fingerprint_of("POST", "/a", {"x": 2})
        assert fingerprint_of("POST", "/a", {"x": 1}) != fingerprint_of("POST", "/b", {"x": 1})
        assert fingerprint_of("POST", "/a", {"x": 1}) != fingerprint_of("PUT", "/a", {"x": 1})
