"""Ledger stories: each ``.story`` file of this folder told to a ledger, on both databases."""

from pathlib import Path

import pytest
from flask import Flask

from errors import CofferError
from tests.services.ledger.desk import Clock, Desk, make_payment
from tests.stories.reader import Event, amount, read, span

STORIES = sorted(Path(__file__).parent.glob("*.story"))


class Teller:
    """Acts out the events of a story, account by account."""

    def __init__(self, clock: Clock):
        self.clock = clock
        self.desks: dict[str, Desk] = {}
        self.named: dict[str, int] = {}

    def tell(self, event: Event) -> None:
        self.clock.now = event.at
        code = event.options.get("refused")
        try:
            getattr(self, event.verb)(self.desk(event.options.get("of", "main")), event)
        except CofferError as error:
            assert error.code == code, f"line {event.number}: {error.code}: {error.detail}"
        else:
            assert code is None, f"line {event.number} was not refused"

    def desk(self, name: str) -> Desk:
        if name not in self.desks:
            self.desks[name] = Desk.open()
        return self.desks[name]

    def name(self, event: Event, value: int) -> None:
        if "as" in event.options:
            self.named[event.options["as"]] = value

    def grant(self, desk: Desk, event: Event) -> None:
        values: dict[str, object] = {}
        if "expires" in event.options:
            values["expires_at"] = event.at + span(event.options["expires"])
        if "priority" in event.options:
            values["priority"] = int(event.options["priority"])
        desk.grant(amount(event.words[0]), event.words[1], **values)

    def buy(self, desk: Desk, event: Event) -> None:
        payment_id = make_payment(desk.account_id)
        desk.grant(amount(event.words[0]), "purchase", payment_id=payment_id)
        self.name(event, payment_id)

    def repay(self, desk: Desk, event: Event) -> None:
        desk.revoke(self.named[event.words[0]], amount(event.words[1]), amount(event.words[2]))

    def spend(self, desk: Desk, event: Event) -> None:
        self.name(event, desk.spend(amount(event.words[0])).transaction_id)

    def adjust(self, desk: Desk, event: Event) -> None:
        desk.adjust_down(amount(event.words[0]))

    def refund(self, desk: Desk, event: Event) -> None:
        desk.refund(self.named[event.words[0]], *[amount(word) for word in event.words[1:]])

    def hold(self, desk: Desk, event: Event) -> None:
        seconds = int(span(event.options.get("for", "15m")).total_seconds())
        self.name(event, desk.hold(amount(event.words[0]), expires_in=seconds))

    def capture(self, desk: Desk, event: Event) -> None:
        receipt = desk.capture(self.named[event.words[0]], *[amount(word) for word in event.words[1:]])
        self.name(event, receipt.transaction_id)

    def release(self, desk: Desk, event: Event) -> None:
        desk.release(self.named[event.words[0]])

    def transfer(self, desk: Desk, event: Event) -> None:
        desk.transfer(self.desk(event.options["to"]), amount(event.words[0]))

    def balance(self, desk: Desk, event: Event) -> None:
        position = desk.position()
        assert position.balance == amount(event.words[0]), f"line {event.number}: {position.balance}"
        if "held" in event.options:
            assert position.held == amount(event.options["held"]), f"line {event.number}"
        if "subscription-part" in event.options:
            assert position.subscription == amount(event.options["subscription-part"]), f"line {event.number}"


class TestStories:
    @pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
    def test_story_comes_true(self, path: Path, either_app: Flask, clock: Clock) -> None:
        teller = Teller(clock)
        events = read(path.read_text())
        assert any(event.verb == "balance" for event in events)
        for event in events:
            teller.tell(event)


class TestReader:
    @pytest.mark.parametrize("story", ["2026-01-02 spend 1\n2026-01-01 spend 1", "2026-01-01 spend 1 as"])
    def test_line_that_makes_no_sense_is_refused(self, story: str) -> None:
        with pytest.raises(ValueError, match="line"):
            read(story)

    @pytest.mark.parametrize(("parse", "word"), [(amount, "1,00"), (amount, "x"), (span, "3w")])
    def test_word_that_makes_no_sense_is_refused(self, parse: object, word: str) -> None:
        with pytest.raises(ValueError, match="is no"):
            parse(word)  # type: ignore[operator]
