"""Limits on guessing."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from errors import RateLimited
from extensions import db
from models.accounts import LoginThrottle
from services.accounts import throttle
from services.clock import wall_now

HERE, ELSEWHERE, EMAIL = "203.0.113.7", "198.51.100.9", "ann@example.com"


def guess(times: int, address: str = HERE, email: str = EMAIL) -> None:
    for _ in range(times):
        throttle.count_attempt("sign_in", address, email)


class TestCountAttempt:
    def test_the_ninth_guess_for_one_address_is_refused_with_the_time_to_wait(
        self, either_app: Flask
    ) -> None:
        guess(8)
        with pytest.raises(RateLimited) as refusal:
            guess(1)
        assert 0 < (refusal.value.retry_after_seconds or 0) <= 15 * 60 + 1

    def test_the_owner_is_not_locked_out_from_another_network(self, app: Flask) -> None:
        guess(8)
        guess(1, ELSEWHERE)
        assert db.session.query(LoginThrottle).count() == 4

    def test_one_network_cannot_go_through_many_addresses(self, app: Flask) -> None:
        for number in range(40):
            guess(1, HERE, f"user{number}@example.com")
        with pytest.raises(RateLimited):
            guess(1, HERE, "another@example.com")

    def test_a_refused_attempt_is_not_counted_so_that_waiting_ends(self, app: Flask) -> None:
        guess(8)
        with pytest.raises(RateLimited):
            guess(1)
        with time_machine.travel(wall_now() + timedelta(minutes=15, seconds=1)):
            guess(1)

    def test_success_forgets_the_failures_and_gives_the_attempt_back(self, app: Flask) -> None:
        guess(7)
        throttle.forgive("sign_in", HERE, EMAIL)
        guess(8)
        row = db.session.get(LoginThrottle, f"sign_in:network:{HERE}")
        assert row is not None and row.failures == 14


class TestNetworkOf:
    @pytest.mark.parametrize(
        ("address", "network"),
        [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("fe80::1%eth0", "fe80::/64"),
            ("", "unknown"),
            ("nonsense", "unknown"),
        ],
    )
    def test_one_subscriber_is_one_network(self, address: str, network: str) -> None:
        assert throttle.network_of(address) == network
