"""Whether a delivery is Stripe's: any doubt is a 400."""

import contextlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import BadRequest, PaymentProviderUnavailable
from gateways.stripe_events import EventFacts, parse_event, verified_event
from sandbox.webhooks import signature

NOW = datetime(2026, 3, 1, tzinfo=UTC)
STAMP = int(NOW.timestamp())
SECRET = "whsec_one"
BODY = b'{"id": "evt_1", "type": "charge.refunded", "data": {"object": {"id": "ch_1"}}}'


def verify(body: bytes = BODY, header: str | None = None, secrets: tuple[str, ...] = (SECRET,)) -> EventFacts:
    return verified_event(body, signature(SECRET, body, STAMP) if header is None else header, secrets, NOW)


class TestVerifiedEvent:
    def test_a_good_one(self) -> None:
        assert verify() == EventFacts("evt_1", "charge.refunded", "ch_1")

    def test_any_of_several_secrets_and_signatures(self) -> None:
        assert verify(secrets=("whsec_other", SECRET)).id == "evt_1"
        good = signature(SECRET, BODY, STAMP)
        assert verify(header=good.replace("v1=", "v1=00,v0=11,v1=")).id == "evt_1"

    def test_no_secret_set(self) -> None:
        with pytest.raises(PaymentProviderUnavailable):
            verify(secrets=())

    @pytest.mark.parametrize("seconds", [-300, -1, 0, 1, 300])
    def test_within_five_minutes(self, seconds: int) -> None:
        assert verify(header=signature(SECRET, BODY, STAMP + seconds)).id == "evt_1"

    @pytest.mark.parametrize("seconds", [-301, 301, -(10**9), 10**9])
    def test_too_old_or_of_the_future(self, seconds: int) -> None:
        with pytest.raises(BadRequest, match="old"):
            verify(header=signature(SECRET, BODY, STAMP + seconds))

    @pytest.mark.parametrize(
        "header",
        [
            "", "t=", "v1=", "t=1", "v1=aa", f"t={STAMP},v1=", f"t={STAMP},v1=é", f"t={STAMP},v0=aa",
            f"t={STAMP}", "t=x,v1=aa", f"t=+{STAMP},v1=aa", f"t={STAMP},t={STAMP},v1=aa", "=" * 5000,
            f"t={'9' * 400},v1=aa", "t=١٢٣,v1=aa", ",,,", f"t={STAMP},v1={'0' * 64}", "\x00",
        ],
    )  # fmt: skip
    def test_malformed(self, header: str) -> None:
        with pytest.raises(BadRequest):
            verify(header=header)

    def test_missing(self) -> None:
        with pytest.raises(BadRequest):
            verified_event(BODY, None, (SECRET,), NOW)

    def test_another_secret_or_body(self) -> None:
        with pytest.raises(BadRequest, match="match"):
            verify(header=signature("whsec_forged", BODY, STAMP))
        with pytest.raises(BadRequest, match="match"):
            verify(BODY + b" ", signature(SECRET, BODY, STAMP))
        moved = signature(SECRET, BODY, STAMP).replace(str(STAMP), str(STAMP + 1))
        with pytest.raises(BadRequest, match="match"):
            verify(header=moved)

    def test_a_day_late_is_too_late(self) -> None:
        old = signature(SECRET, BODY, int((NOW - timedelta(days=1)).timestamp()))
        with pytest.raises(BadRequest):
            verify(header=old)


class TestParseEvent:
    @pytest.mark.parametrize(
        "body",
        [
            b"", b"{", b"[]", b"null", b"5", b'"x"', b"\xff", b"{}", b'{"id": 5, "type": "x"}',
            b'{"id": "evt_1"}', b'{"id": "", "type": "x"}', b'{"id": "a b", "type": "x"}',
            b'{"id": "evt_\\u0000", "type": "x"}', b'{"id": "evt_\\ud800", "type": "x"}',
            b'{"id": "evt_1", "type": "\\u0000"}', b'{"id": "evt_1", "type": []}',
            b'{"id": "' + b"x" * 300 + b'", "type": "x"}', b"[" * 100_000, b'{"n": ' + b"9" * 5000 + b"}",
        ],
    )  # fmt: skip
    def test_what_is_no_event(self, body: bytes) -> None:
        with pytest.raises(BadRequest):
            parse_event(body)

    @pytest.mark.parametrize("data", [None, 5, [], {}, {"object": []}, {"object": {"id": ["x"]}},
                                      {"object": {"id": "a\x00"}}])  # fmt: skip
    def test_an_event_without_an_object(self, data: object) -> None:
        facts = parse_event(json.dumps({"id": "evt_1", "type": "x", "data": data}).encode())
        assert facts == EventFacts("evt_1", "x", "")

    @given(st.binary(max_size=200))
    def test_anything_is_an_event_or_a_bad_request(self, body: bytes) -> None:
        with contextlib.suppress(BadRequest):
            assert parse_event(body).id
