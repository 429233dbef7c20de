"""Which lots pay, and how a total is split: for any numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ledger.burn_down import Lot, draws, split_by_largest_remainder

amounts = st.integers(1, 10**15)
lots = st.lists(amounts, min_size=1, max_size=8).map(
    lambda free: [Lot(number, units, number % 2 == 0) for number, units in enumerate(free)]
)


class TestDraws:
    @given(lots, st.data())
    def test_takes_exactly_the_amount_from_the_front(self, lots: list[Lot], data: st.DataObject) -> None:
        amount = data.draw(st.integers(1, sum(lot.free for lot in lots)))
        taken = draws(lots, amount)
        assert sum(draw.amount for draw in taken) == amount
        assert [draw.grant_id for draw in taken] == [lot.grant_id for lot in lots[: len(taken)]]
        assert all(draw.amount == lot.free for draw, lot in zip(taken[:-1], lots, strict=False))
        assert 0 < taken[-1].amount <= lots[len(taken) - 1].free

    @given(lots)
    def test_looks_at_no_more_lots_than_needed(self, lots: list[Lot]) -> None:
        looked = iter(lots)
        draws(looked, lots[0].free)
        assert len(list(looked)) == len(lots) - 1

    @given(lots)
    def test_more_than_there_is_is_a_bug(self, lots: list[Lot]) -> None:
        with pytest.raises(AssertionError):
            draws(lots, sum(lot.free for lot in lots) + 1)


class TestSplit:
    @given(st.integers(0, 10**15), st.lists(st.integers(0, 10**9), min_size=1, max_size=8))
    def test_shares_add_up_and_none_is_off_by_one_unit(self, total: int, weights: list[int]) -> None:
        shares = split_by_largest_remainder(total, weights)
        whole = sum(weights)
        if whole == 0:
            assert shares == [0] * len(weights)
            return
        assert sum(shares) == total
        for share, weight in zip(shares, weights, strict=True):
            assert total * weight // whole <= share <= -(-total * weight // whole)

    def test_what_is_left_goes_to_the_largest_remainders(self) -> None:
        assert split_by_largest_remainder(10, [1, 1, 1]) == [4, 3, 3]
        assert split_by_largest_remainder(100, [1, 2, 4]) == [14, 29, 57]
