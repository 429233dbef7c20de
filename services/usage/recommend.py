"""Which plan an account would do better with, or that a package is enough, and why: pure calculation.

Source: docs/usage.md, the recommended plan.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

from services.catalog.packages import PackageView
from services.catalog.plans import PlanView

# Above this share of a limit a plan is close to full.
CLOSE_PERCENT = 80
Reason = Literal["limit_reached", "limit_close", "more_credits", "extra_credits", "smaller_fits"]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A plan that fits better, or a package. Units: ``annual_saving_cents`` in minor units a year.

    ``meter``: the one that decides, by its name; empty where credits decide. ``package``: the code of the one that
    is the better answer; ``plan`` is empty then, and ``plan_name`` names the package.
    """

    plan: str
    plan_name: str
    reason: Reason
    meter: str
    percent: int | None
    annual_saving_cents: int
    package: str = ""


@dataclass(frozen=True, slots=True)
class Month:
    """What an account takes in a month. Units: ``credits`` in the smallest unit of the plans' credit type.

    ``used``: units by meter. ``is_short``: its credits run out before long.
    """

    used: Mapping[str, int]
    credits: int
    is_short: bool = False


def recommended_plan(
    plans: Sequence[PlanView], current: str | None, used: Mapping[str, int], *,
    month: Month | None = None, packages: Sequence[PackageView] = (), may_shrink: bool = False,
) -> Recommendation | None:  # fmt: skip
    """The cheapest plan that holds what was used, where the present one does not; or a package where that is less.

    ``used``: units in this month's window by meter. None where the plan in force is right, or nothing is better.
    With ``may_shrink`` a plan that costs less in all and still leaves room is recommended too.
    """
    now = next((plan for plan in plans if plan.code == current), None)
    if now is None:
        return None
    sold = [plan for plan in plans if plan.monthly_price_cents is not None and plan.code != now.code]
    on_sale = [each for each in packages if not each.locked and each.credit_type == now.credit_type]
    tightest = _tightest(now, used)
    if tightest is not None and tightest[1] >= CLOSE_PERCENT:
        return _for_limits(now, sold, used, tightest, on_sale)
    if month is not None and month.is_short:
        return _for_credits(now, sold, month, on_sale)
    if may_shrink and not now.is_default:
        return _smaller(now, sold, month or Month(used, 0), on_sale)
    return None


def _for_limits(
    now: PlanView, sold: Sequence[PlanView], used: Mapping[str, int], tightest: tuple[str, int],
    packages: Sequence[PackageView],
) -> Recommendation | None:  # fmt: skip
    better = [plan for plan in sold if _price(plan) > _price(now) and _fits(plan, used)]
    chosen = min(better, key=_price, default=None)
    beyond = _credits_beyond(now, used)
    if tightest[1] >= 100 and beyond:
        dearer = _price(chosen) - _price(now) if chosen is not None else inf
        package = _package_for(beyond, packages)
        if package is not None and _cents_of(beyond, packages) < dearer:
            return _bought(package, *tightest)
    if chosen is None:
        return None
    return _recommendation(chosen, "limit_reached" if tightest[1] >= 100 else "limit_close", *tightest)


def _for_credits(
    now: PlanView, sold: Sequence[PlanView], month: Month, packages: Sequence[PackageView]
) -> Recommendation | None:
    """What costs least in all of the plans that bring more credits, or a package where that is less."""
    missing = month.credits - now.credits_per_month
    if missing <= 0:
        return None
    more = [
        plan
        for plan in sold
        if plan.credits_per_month > now.credits_per_month and plan.credit_type == now.credit_type
        and _fits(plan, month.used)
    ]  # fmt: skip
    chosen = min(more, key=lambda plan: _cost(plan, month, packages), default=None)
    package = _package_for(missing, packages)
    if chosen is not None and (
        package is None or _cost(chosen, month, packages) < _cost(now, month, packages)
    ):
        return _recommendation(chosen, "more_credits", "", None)
    return _bought(package, "", None) if package is not None else None


def _smaller(
    now: PlanView, sold: Sequence[PlanView], month: Month, packages: Sequence[PackageView]
) -> Recommendation | None:
    cost = _cost(now, month, packages)
    smaller = [
        plan
        for plan in sold
        if _price(plan) < _price(now) and _fits(plan, month.used) and _cost(plan, month, packages) < cost
    ]
    chosen = min(smaller, key=lambda plan: _cost(plan, month, packages), default=None)
    return None if chosen is None else _recommendation(chosen, "smaller_fits", "", None)


def _recommendation(plan: PlanView, reason: Reason, meter: str, percent: int | None) -> Recommendation:
    return Recommendation(plan.code, plan.name, reason, meter, percent, annual_saving_cents(plan))


def _bought(package: PackageView, meter: str, percent: int | None) -> Recommendation:
    return Recommendation("", package.name, "extra_credits", meter, percent, 0, package.code)


def annual_saving_cents(plan: PlanView) -> int:
    """What a year costs less than twelve months. Units: minor units; 0 where it is not sold by the year."""
    if not plan.monthly_price_cents or not plan.annual_price_cents:
        return 0
    return max(plan.monthly_price_cents * 12 - plan.annual_price_cents, 0)


def _cost(plan: PlanView, month: Month, packages: Sequence[PackageView]) -> float:
    """A month in all: the price, and packages for the credits that the plan does not bring."""
    return _price(plan) + _cents_of(month.credits - plan.credits_per_month, packages)


def _cents_of(units: int, packages: Sequence[PackageView]) -> float:
    """What so many credits cost at the price of the package that one would take; endless where none is sold."""
    package = _package_for(units, packages)
    if units <= 0:
        return 0
    return inf if package is None else -(-units // package.credits) * package.price_cents


def _package_for(units: int, packages: Sequence[PackageView]) -> PackageView | None:
    """The cheapest package that holds so many credits, else the largest."""
    enough = [package for package in packages if package.credits >= units]
    if enough:
        return min(enough, key=lambda package: package.price_cents)
    return max(packages, key=lambda package: package.credits, default=None)


def _credits_beyond(plan: PlanView, used: Mapping[str, int]) -> int:
    """The credits that usage beyond the limits takes; 0 where a limit that is reached lets nothing through."""
    total = 0
    for limit in plan.limits:
        if (
            limit.included is None
            or used.get(limit.meter, 0) < limit.included
            or not used.get(limit.meter, 0)
        ):
            continue
        if limit.credits_per_unit is None or limit.credit_type != plan.credit_type:
            return 0
        total += (used[limit.meter] - limit.included) * limit.credits_per_unit
    return total


def _tightest(plan: PlanView, used: Mapping[str, int]) -> tuple[str, int] | None:
    """The meter nearest to its limit, and how much of it is used in per cent."""
    shares = [
        (limit.meter_name, used.get(limit.meter, 0) * 100 // limit.included if limit.included else 100)
        for limit in plan.limits
        if limit.included is not None and (limit.included or used.get(limit.meter, 0))
    ]
    return max(shares, key=lambda share: share[1], default=None)


def _fits(plan: PlanView, used: Mapping[str, int]) -> bool:
    """Whether a plan holds what was used and leaves room."""
    tightest = _tightest(plan, used)
    return tightest is None or tightest[1] < CLOSE_PERCENT


def _price(plan: PlanView) -> int:
    return plan.monthly_price_cents or 0
