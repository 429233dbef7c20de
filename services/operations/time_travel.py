"""Time travel: one journey of the product's clock, from instant to instant, written down as it goes.

The journey is a fact of the database and its driver holds a lease, so there is one at a time over all
processes. Where the driver is killed, the clock stays where it was moved to and the journey can go on from
there: what was done at the last instant is found done. Source: docs/operations.md, time travel.
"""

import json
import re
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select

from errors import Conflict, InvalidRequest
from extensions import db
from models.accounts import Account
from models.billing import Subscription
from services.audit import record
from services.clock import business_now, iso, wall_now
from services.operations.clock_guard import paused_because
from services.operations.facts import drop_fact, fact, set_fact
from services.operations.leases import give_back_lease, lease_is_held, take_lease
from services.operations.moved_clock import move_clock_to
from services.operations.restore import PAYMENTS_PAUSED
from services.unit_of_work import atomic

JOURNEY = "time_travel"
END_WANTED = "time_travel_end_wanted"
LEASE = "time-travel"
LONGEST = timedelta(days=400)
MOST_PROBLEMS = 20
LONGEST_PROBLEM = 300
# Past the end of a cycle: invoices finalise themselves within the hour and are paid.
AFTER_CYCLE_END = timedelta(hours=1)
UNDER_WAY = "under_way"
CYCLE_END = "cycle-end"
_SPAN = re.compile(r"\s*(\d{1,5})\s*([hd])\s*")


@dataclass(frozen=True, slots=True)
class Journey:
    """One journey. ``from_at``, ``at`` and ``to_at`` by the product's clock, ``begun_at`` and ``ended_at`` by the wall.

    ``state``: under_way, arrived, ended (by a person) or failed; ``problems`` are what went wrong on the way.
    """

    actor: str
    from_at: datetime
    at: datetime
    to_at: datetime
    begun_at: datetime
    ended_at: datetime | None = None
    state: str = UNDER_WAY
    steps: int = 0
    problems: tuple[str, ...] = ()

    @property
    def percent(self) -> int:
        """How much of the way lies behind."""
        if self.state == "arrived":
            return 100
        return min(int(100 * ((self.at - self.from_at) / (self.to_at - self.from_at))), 99)


@dataclass(frozen=True, slots=True)
class CycleEnd:
    """When an account's present period ends."""

    account: str
    ends_at: datetime


def last_journey() -> Journey | None:
    """The journey under way, or the latest; None before the first."""
    kept = fact(JOURNEY)
    if kept is None:
        return None
    document = json.loads(kept)
    for name in ("from_at", "at", "to_at", "begun_at", "ended_at"):
        document[name] = document[name] and datetime.fromisoformat(document[name])
    return Journey(**(document | {"problems": tuple(document["problems"])}))


def is_travelling() -> bool:
    """Whether somebody drives a journey now."""
    return lease_is_held(LEASE)


def is_interrupted(journey: Journey | None) -> bool:
    """Whether a journey lost its driver: the process that drove it was killed."""
    return journey is not None and journey.state == UNDER_WAY and not is_travelling()


def next_cycle_end() -> CycleEnd | None:
    """The soonest end of a paid or given period; None where nobody has a plan."""
    row = db.session.execute(
        select(Account.name, Subscription.current_period_end)
        .join(Account, Account.id == Subscription.account_id)
        .where(Subscription.ended_at.is_(None), Subscription.current_period_end > business_now())
        .order_by(Subscription.current_period_end)
        .limit(1)
    ).first()
    return CycleEnd(row[0], row[1]) if row and row[1] else None


def destination(span: str) -> datetime:
    """The instant that a span leads to: ``12h``, ``30d``, or ``cycle-end`` for an hour after the soonest one.

    Raises InvalidRequest.
    """
    if span == CYCLE_END:
        cycle = next_cycle_end()
        if cycle is None:
            raise InvalidRequest.of("span", "has no cycle to go to: nobody has a plan")
        return cycle.ends_at + AFTER_CYCLE_END
    match = _SPAN.fullmatch(span)
    if match is None:
        raise InvalidRequest.of("span", f"must be hours or days such as 12h or 30d, or {CYCLE_END}")
    return business_now() + timedelta(**{{"h": "hours", "d": "days"}[match[2]]: int(match[1])})


@atomic
def begin_journey(to_at: datetime, actor: str, holder: str) -> Journey:
    """Write a journey down and take its lease. Raises InvalidRequest, Conflict."""
    now = business_now()
    if to_at <= now:
        raise InvalidRequest.of("span", "must lie ahead: the clock never goes back")
    if to_at - now > LONGEST:
        raise InvalidRequest.of("span", f"must be {LONGEST.days} days at most; travel again from there")
    because = paused_because() or fact(PAYMENTS_PAUSED)
    if because:
        raise Conflict(f"Jobs are paused, so nothing would happen on the way: {because}")
    if is_interrupted(last_journey()):
        raise Conflict("An earlier journey was interrupted. Continue it, or end it where it stands.")
    _take(holder)
    drop_fact(END_WANTED)
    record("clock.journey_begun", actor, None, from_at=iso(now), to_at=iso(to_at))
    return _kept(Journey(actor=actor, from_at=now, at=now, to_at=to_at, begun_at=wall_now()))


@atomic
def continue_journey(actor: str, holder: str) -> Journey:
    """Take over a journey whose driver was killed, or that failed. Raises Conflict where there is none."""
    journey = last_journey()
    if journey is None or journey.state not in (UNDER_WAY, "failed"):
        raise Conflict("There is no journey to continue.")
    _take(holder)
    drop_fact(END_WANTED)
    record("clock.journey_continued", actor, None, at=iso(business_now()), to_at=iso(journey.to_at))
    return _kept(replace(journey, state=UNDER_WAY, ended_at=None))


@atomic
def move_on(to_at: datetime, holder: str) -> bool:
    """Move the clock to the next instant of a journey. False where it is to end here, or is another's by now."""
    journey = last_journey()
    if journey is None or journey.state != UNDER_WAY or not take_lease(LEASE, holder):
        return False
    if fact(END_WANTED):
        return False
    _kept(replace(journey, at=move_clock_to(to_at), steps=journey.steps + 1))
    return True


@atomic
def note_problem(problem: str) -> None:
    """Write down what went wrong on the way; the same thing once. Idempotent."""
    journey, line = last_journey(), problem[:LONGEST_PROBLEM]
    if journey is not None and line not in journey.problems and len(journey.problems) < MOST_PROBLEMS:
        _kept(replace(journey, problems=(*journey.problems, line)))


@atomic
def want_end(actor: str) -> None:
    """Have the journey end where it stands. Raises Conflict where none is under way. Idempotent."""
    journey = last_journey()
    if journey is None or journey.state != UNDER_WAY:
        raise Conflict("No journey is under way.")
    record("clock.journey_ended", actor, None, at=iso(business_now()))
    set_fact(END_WANTED, actor)
    if not is_travelling():
        _kept(replace(journey, state="ended", ended_at=wall_now()))


@atomic
def end_journey(holder: str, failure: str | None = None) -> None:
    """Write down how a journey ended and give its lease back, where it is still this driver's. Idempotent."""
    journey = last_journey()
    if journey is None or journey.state != UNDER_WAY or not take_lease(LEASE, holder):
        return
    if failure:
        note_problem(failure)
        journey = last_journey() or journey
    state = "failed" if failure else ("arrived" if business_now() >= journey.to_at else "ended")
    _kept(replace(journey, state=state, at=business_now(), ended_at=wall_now()))
    give_back_lease(LEASE, holder)


def _take(holder: str) -> None:
    if not take_lease(LEASE, holder):
        raise Conflict("A journey is under way already.")


def _kept(journey: Journey) -> Journey:
    document = asdict(journey)
    for name, value in document.items():
        document[name] = iso(value) if isinstance(value, datetime) else value
    set_fact(JOURNEY, json.dumps(document))
    return journey
