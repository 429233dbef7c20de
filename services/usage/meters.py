"""Recording usage: within the plan's limit it is counted, beyond it credits are taken, or nothing goes.

Count and credits are one unit: all or nothing. Source: docs/usage.md.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import and_, bindparam, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from errors import AccountFrozen, InsufficientCredits, InvalidRequest, LimitReached, NotFound
from extensions import db
from models.accounts import Account
from models.billing import ENTITLING_STATUSES, Subscription
from models.catalog import Catalog, CreditType, Meter, Plan, PlanLimit
from models.usage import GaugeValue, MeterDay, MeterWindow
from services.clock import business_now, from_microseconds, iso, to_microseconds
from services.events.publishing import publish
from services.ledger.debits import Spend, spend_credits
from services.ledger.opening import lock_accounts
from services.money import MAX_UNITS, from_units, to_number
from services.notices.notices import notify
from services.statements import Statement
from services.unit_of_work import atomic
from services.usage.limits import Limit, warning_of
from services.usage.windows import Window, day_number, window_at

_accounts, _catalogs, _meters = Account.__table__.c, Catalog.__table__.c, Meter.__table__.c
_plans, _limits, _types = Plan.__table__.c, PlanLimit.__table__.c, CreditType.__table__.c
_subscriptions, _windows = Subscription.__table__.c, MeterWindow.__table__.c
_gauges, _days = GaugeValue.__table__.c, MeterDay.__table__.c
PLACE = Statement(
    select(
        _accounts.status, _accounts.time_zone, _subscriptions.anchor_at,
        func.coalesce(_subscriptions.plan_id, _plans.id), _meters.id, _meters.kind, _meters.name,
    )
    .select_from(
        Account.__table__.outerjoin(
            Catalog.__table__,
            _catalogs.id == func.coalesce(
                _accounts.catalog_id,
                select(_catalogs.id).where(_catalogs.is_default, _catalogs.archived_at.is_(None))
                .correlate(None).scalar_subquery(),
            ),
        )
        .outerjoin(
            Meter.__table__,
            and_(_meters.catalog_id == _catalogs.id, _meters.code == bindparam("code"),
                 _meters.archived_at.is_(None)),
        )
        .outerjoin(
            Subscription.__table__,
            and_(_subscriptions.account_id == _accounts.id, _subscriptions.ended_at.is_(None),
                 or_(*(_subscriptions.status == status for status in ENTITLING_STATUSES))),
        )
        .outerjoin(
            Plan.__table__,
            and_(_plans.catalog_id == _catalogs.id, _plans.is_default, _plans.archived_at.is_(None)),
        )
    )
    .where(_accounts.id == bindparam("account_id"))
)  # fmt: skip
LIMIT = Statement(
    select(_limits.included, _limits.credits_per_unit, _types.code, func.coalesce(_types.scale, 0))
    .select_from(PlanLimit.__table__.outerjoin(CreditType.__table__, _types.id == _limits.credit_type_id))
    .where(_limits.plan_id == bindparam("plan_id"), _limits.meter_id == bindparam("meter_id"))
)
READ_WINDOW = Statement(
    select(_windows.starts_at, _windows.ends_at, _windows.used, _windows.credits_used).where(
        _windows.account_id == bindparam("account_id"), _windows.meter_id == bindparam("meter_id")
    )
)
READ_GAUGE = Statement(
    select(_gauges.value, _gauges.credits_used).where(
        _gauges.account_id == bindparam("account_id"), _gauges.meter_id == bindparam("meter_id")
    )
)


def _upsert(table: Any, keys: tuple[str, ...], changed: dict[str, Any]) -> dict[str, Statement]:
    """Insert a row or change the one of its keys, for each database."""
    statements = {}
    for dialect in (sqlite, postgresql):
        insert = dialect.insert(table).values({column.name: bindparam(column.name) for column in table.c})
        changes = {name: make(insert.excluded) for name, make in changed.items()}
        statements[dialect.__name__.rpartition(".")[2]] = Statement(
            insert.on_conflict_do_update(index_elements=list(keys), set_=changes)
        )
    return statements


def _same(name: str) -> Any:
    return lambda excluded: excluded[name]


WRITE_WINDOW = _upsert(
    MeterWindow.__table__, ("account_id", "meter_id"),
    {name: _same(name) for name in ("starts_at", "ends_at", "used", "credits_used")},
)  # fmt: skip
WRITE_GAUGE = _upsert(
    GaugeValue.__table__, ("account_id", "meter_id"),
    {name: _same(name) for name in ("value", "credits_used", "updated_at")},
)  # fmt: skip
ADD_TO_DAY = _upsert(
    MeterDay.__table__, ("account_id", "meter_id", "day"),
    {
        "quantity": lambda excluded: _days.quantity + excluded.quantity,
        "credits_used": lambda excluded: _days.credits_used + excluded.credits_used,
    },
)  # fmt: skip
SET_DAY = _upsert(
    MeterDay.__table__, ("account_id", "meter_id", "day"),
    {
        "quantity": _same("quantity"),
        "credits_used": lambda excluded: _days.credits_used + excluded.credits_used,
    },
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Increment:
    """Usage to record: so many of a meter, named by its code."""

    account_id: int
    meter: str
    quantity: int
    actor: str
    task_id: str | None = None


@dataclass(frozen=True, slots=True)
class UsageReceipt:
    """Where a meter stands after recording. ``limit`` None: without limit.

    Units: ``credits_used`` in the smallest unit of the credit type, for this recording. ``warning`` is the
    threshold that this recording has crossed, if any.
    """

    meter: str
    used: int
    limit: int | None
    remaining: int | None
    credits_used: int
    scale: int
    warning: int | None


@dataclass(frozen=True, slots=True)
class _Place:
    """An account's meter: whose it is, how it counts, what the plan includes."""

    account_id: int
    status: str
    time_zone: str
    anchor_at: int | None
    meter_id: int
    kind: str
    name: str
    limit: Limit


@atomic
def record_usage(increment: Increment) -> UsageReceipt:
    """Count usage; what lies beyond the plan's limit takes credits. All of it, or none.

    Raises LimitReached with ``used``, ``limit``, ``required``, ``available``, InvalidRequest naming ``meter`` or
    ``quantity``, AccountFrozen, NotFound.
    """
    if not 1 <= increment.quantity <= MAX_UNITS:
        raise InvalidRequest.of("quantity", f"must be a whole number from 1 to {MAX_UNITS}")
    place = _open(increment.account_id, increment.meter)
    if place.kind == "gauge":
        before, _ = _gauge(place)
        return _set(place, before + increment.quantity, increment)
    window, used, credits_before = _window(place)
    after = _checked_total(used + increment.quantity, "quantity")
    excess = place.limit.excess(used, increment.quantity)
    credits = _take(place, increment, excess, used)
    _write(
        WRITE_WINDOW, account_id=place.account_id, meter_id=place.meter_id, used=after,
        starts_at=to_microseconds(window.starts_at), ends_at=to_microseconds(window.ends_at),
        credits_used=credits_before + credits,
    )  # fmt: skip
    _write_day(ADD_TO_DAY, place, increment.quantity, credits)
    _warn(place, increment.meter, used, after, iso(window.starts_at))
    return _receipt(place, increment.meter, used, after, credits)


@atomic
def set_gauge(account_id: int, meter: str, value: int, actor: str) -> UsageReceipt:
    """Set what a gauge shows. Growing beyond the plan's limit takes credits, or is refused; falling never is.

    Raises LimitReached, InvalidRequest naming ``meter`` or ``value``, AccountFrozen, NotFound.
    """
    if not 0 <= value <= MAX_UNITS:
        raise InvalidRequest.of("value", f"must be a whole number from 0 to {MAX_UNITS}")
    place = _open(account_id, meter)
    if place.kind != "gauge":
        raise InvalidRequest.of("meter", f"{meter!r} is a counter; only a gauge is set")
    return _set(place, value, Increment(account_id=account_id, meter=meter, quantity=1, actor=actor))


def _set(place: _Place, value: int, increment: Increment) -> UsageReceipt:
    before, credits_before = _gauge(place)
    _checked_total(value, "quantity")
    excess = place.limit.excess(before, value - before) if value > before else 0
    credits = _take(place, replace(increment, quantity=max(value - before, 1)), excess, before)
    _write(
        WRITE_GAUGE, account_id=place.account_id, meter_id=place.meter_id, value=value,
        credits_used=credits_before + credits, updated_at=to_microseconds(business_now()),
    )  # fmt: skip
    _write_day(SET_DAY, place, value, credits)
    _warn(place, increment.meter, before, value, f"gauge {iso(business_now())}")
    return _receipt(place, increment.meter, before, value, credits)


def _warn(place: _Place, meter: str, before: int, after: int, window: str) -> None:
    """Tell of the highest warning that was reached just now: of a counter once a window each, of a gauge
    whenever it has risen to it from below."""
    included = place.limit.included
    step = warning_of(after, included)
    if step is None or step == warning_of(before, included) or after <= before:
        return
    key = f"limit:{place.meter_id}:{window}:{included}:{step}"
    facts = {"name": place.name, "step": step, "used": after, "limit": included, "blocks": place.limit.blocks}
    if notify(place.account_id, "limit_warning", key, **facts):
        publish(place.account_id, "limit.warning", key, {"meter": meter, **facts})


def _open(account_id: int, meter: str) -> _Place:
    """The meter of an account, which is locked. Raises NotFound, InvalidRequest, AccountFrozen."""
    lock_accounts(account_id)
    row = PLACE.first(account_id=account_id, code=meter)
    if row is None:
        raise NotFound("There is no such account.")
    status, time_zone, anchor_at, plan_id, meter_id, kind, name = row
    if meter_id is None:
        raise InvalidRequest.of("meter", f"there is no meter {meter!r}")
    if status in ("frozen", "parked"):
        raise AccountFrozen("The account is frozen: no usage is recorded.")
    limit = LIMIT.first(plan_id=plan_id, meter_id=meter_id) if plan_id is not None else None
    return _Place(
        account_id, status, time_zone, anchor_at, meter_id, kind, name, Limit(*limit) if limit else Limit()
    )


def _window(place: _Place) -> tuple[Window, int, int]:
    """The open window, what was used in it, and the credits taken.

    Where the plan has changed since, the count is kept: an upgrade gives no second month.
    """
    now = business_now()
    anchor = from_microseconds(place.anchor_at) if place.anchor_at is not None else None
    window = window_at(now, anchor, place.time_zone)
    row = READ_WINDOW.first(account_id=place.account_id, meter_id=place.meter_id)
    if row is None or row[1] <= to_microseconds(now):
        return window, 0, 0
    return window, row[2], row[3]


def _gauge(place: _Place) -> tuple[int, int]:
    row = READ_GAUGE.first(account_id=place.account_id, meter_id=place.meter_id)
    return (0, 0) if row is None else (row[0], row[1])


def _checked_total(total: int, field: str) -> int:
    if total > MAX_UNITS:
        raise InvalidRequest.of(field, "would make more than can be counted")
    return total


def _take(place: _Place, increment: Increment, excess: int, used: int) -> int:
    """The credits for what lies beyond the limit, taken in the same unit. Raises LimitReached."""
    if not excess:
        return 0
    limit = place.limit
    if limit.credits_per_unit is None or limit.credit_type is None:
        raise LimitReached(
            f"{place.name}: the plan includes {limit.included}, and {used} are used.",
            meter=increment.meter, used=used, limit=limit.included, remaining=limit.remaining(used),
        )  # fmt: skip
    cost = excess * limit.credits_per_unit
    if cost > MAX_UNITS:
        raise InvalidRequest.of("quantity", "would cost more credits than can be counted")
    try:
        spend_credits(_spend(place, increment, excess, cost))
    except InsufficientCredits as short:
        raise LimitReached(
            f"{place.name}: the plan includes {limit.included}, {used} are used, and there are not enough "
            "credits for more.",
            meter=increment.meter, used=used, limit=limit.included, remaining=limit.remaining(used),
            **short.members,
        ) from None  # fmt: skip
    return cost


def _spend(place: _Place, increment: Increment, excess: int, cost: int) -> Spend:
    assert place.limit.credit_type is not None and place.limit.credits_per_unit is not None
    return Spend(
        account_id=place.account_id,
        credit_type=place.limit.credit_type,
        amount=cost,
        actor=increment.actor,
        task_id=increment.task_id,
        description=f"{place.name} beyond the plan's limit",
        quantity=str(excess),
        unit_cost=f"{from_units(place.limit.credits_per_unit, place.limit.scale):f}",
        details=json.dumps({"meter": increment.meter}),
    )


def _write(statements: dict[str, Statement], **values: Any) -> None:
    statements[db.engine.dialect.name].run(**values).close()


def _write_day(statements: dict[str, Statement], place: _Place, quantity: int, credits: int) -> None:
    _write(
        statements, account_id=place.account_id, meter_id=place.meter_id,
        day=day_number(business_now(), place.time_zone), quantity=quantity, credits_used=credits,
    )  # fmt: skip


def _receipt(place: _Place, meter: str, before: int, after: int, credits: int) -> UsageReceipt:
    limit = place.limit
    reached, had = warning_of(after, limit.included), warning_of(before, limit.included)
    return UsageReceipt(
        meter, after, limit.included, limit.remaining(after), credits, limit.scale,
        reached if reached != had and (had or 0) < (reached or 0) else None,
    )  # fmt: skip


def credits_number(receipt: UsageReceipt) -> int | float:
    """The credits of a receipt as a number of its credit type."""
    return to_number(receipt.credits_used, receipt.scale)
