"""Four weeks in the life of the demo's accounts. The random numbers are seeded: each demo tells the same."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from services import clock
from services.billing.funds import Funding, add_funds_by_hand
from services.ledger.balances import balance_of
from services.ledger.debits import Spend, spend_credits
from services.ledger.grants import Incoming, grant_credits
from services.ledger.holds import HoldRequest, capture_hold, create_hold
from services.ledger.reversals import refund_spend
from services.usage.meters import Increment, record_usage, set_gauge

DAYS = 27
PLAN_DAY = 3
ACTOR = "key:demo"
STUDIO_TASKS = (
    ("Poster, four variants", 12, 28),
    ("Product photo, background removed", 4, 12),
    ("Storyboard, eight frames", 24, 48),
    ("Voice-over, 60 seconds", 12, 24),
    ("Logo sketches", 10, 20),
    ("Upscale to 4K", 3, 9),
    ("Banner set for the spring sale", 16, 36),
)
TOOLS_TASKS = (
    ("Code review of a pull request", 2, 9),
    ("Test generation", 4, 15),
    ("Repository indexed", 20, 45),
    ("Release notes drafted", 1, 4),
)


CAMPAIGNS = ("Appointment reminders", "Delivery updates", "Sign-in codes", "Spring sale")


@contextmanager
def at_day(present: timedelta, day: int, hour: int, minute: int) -> Iterator[None]:
    """Set the business clock to a moment of the demo, never past the present."""
    back = timedelta(days=DAYS - day) - timedelta(hours=hour, minutes=minute) + timedelta(hours=24)
    clock.set_business_offset(present - max(back, timedelta(minutes=2)))
    yield


def play_studio(
    account_id: int, present: timedelta, subscribe: Callable[[], object], buy: Callable[[str], None]
) -> None:
    """A studio that tries, takes a plan, tops up twice and has credits about to expire."""
    dice = random.Random(20)
    purchases = {9: "credits-1000", 19: "credits-500"}
    for day in range(1, DAYS + 1):
        if day == PLAN_DAY:
            with at_day(present, day, 7, 30):
                subscribe()
        minutes = sorted(dice.randint(8 * 60, 23 * 60) for _ in range(dice.choice((1, 1, 2, 2, 3))))
        for number, minute in enumerate(minutes):
            with at_day(present, day, 0, minute):
                _work(account_id, dice, STUDIO_TASKS, f"task-{day:02d}{number:02d}")
        with at_day(present, day, 23, 10):
            if day in purchases:
                buy(purchases[day])
            if day == 24:
                _gift(account_id)


def play_tools(
    account_id: int, present: timedelta, subscribe: Callable[[], object], buy: Callable[[str], None]
) -> None:
    """A tool builder on a plan: one package, a steady trickle of use, one meter beyond its limit, one near it."""
    dice = random.Random(7)
    with at_day(present, 2, 9, 0):
        subscribe()
    with at_day(present, 2, 9, 15):
        buy("popular")
    with at_day(present, 2, 9, 30):
        set_gauge(account_id, "repositories", 4, ACTOR)
    for day in range(3, DAYS + 1):
        for number in range(dice.randint(1, 3)):
            with at_day(present, day, 10 + 3 * number, dice.randint(0, 59)):
                _work(account_id, dice, TOOLS_TASKS, f"run-{day:02d}{number:02d}")
        with at_day(present, day, 22, 0):
            _measure(account_id, dice, day)


def play_messages(account_id: int, present: timedelta) -> None:
    """A sender of text messages: a wallet funded by bank transfer, campaigns at a fraction of a cent each."""
    dice = random.Random(11)
    for day, amount in ((1, 500_000), (16, 250_000)):
        with at_day(present, day, 8, 30):
            add_funds_by_hand(
                Funding(account_id=account_id, amount=amount, actor=ACTOR, description="Bank transfer"),
                f"demo-transfer-{day}",
            )
    for day in range(2, DAYS + 1):
        with at_day(present, day, 11, dice.randint(0, 59)):
            count = dice.randint(40, 420)
            spend_credits(
                Spend(account_id=account_id, credit_type="sms", amount=count * 75, actor=ACTOR,
                      task_id=f"campaign-{day:02d}", description=dice.choice(CAMPAIGNS), quantity=str(count),
                      unit_cost="0.0075")
            )  # fmt: skip


def _measure(account_id: int, dice: random.Random, day: int) -> None:
    """A day's usage by meter."""
    predictions = dice.randint(55, 105)
    amounts = {
        "predictions": predictions,
        "feedback": predictions * dice.randint(18, 32) // 100,
        "api_calls": dice.randint(300, 700),
        "prs": dice.randint(2, 5),
    }
    for meter, quantity in amounts.items():
        record_usage(Increment(account_id=account_id, meter=meter, quantity=quantity, actor=ACTOR))
    if day == 15:
        set_gauge(account_id, "repositories", 9, ACTOR)


def _work(
    account_id: int, dice: random.Random, tasks: tuple[tuple[str, int, int], ...], reference: str
) -> None:
    """One task: mostly spent at once, now and then held first, now and then failed and refunded."""
    description, least, most = dice.choice(tasks)
    amount, chance = dice.randint(least, most), dice.random()
    if balance_of(account_id, "credits").available < amount + 20:
        return
    if chance < 0.12:
        held = create_hold(
            HoldRequest(account_id=account_id, credit_type="credits", amount=amount + 10, actor=ACTOR,
                        task_id=reference, description=description)
        )  # fmt: skip
        capture_hold(account_id, held.hold_id, amount, ACTOR)
        return
    receipt = spend_credits(
        Spend(account_id=account_id, credit_type="credits", amount=amount, actor=ACTOR, task_id=reference,
              description=description)
    )  # fmt: skip
    if chance > 0.93:
        refund_spend(account_id, receipt.transaction_id, None, ACTOR, f"{description}: task failed")


def _gift(account_id: int) -> None:
    grant_credits(
        Incoming(account_id=account_id, credit_type="credits", amount=150, source="bonus", actor="command",
                 expires_at=clock.business_now() + timedelta(days=8), description="Thank you for the feedback")
    )  # fmt: skip
