"""Which plan an account would do better with, and why: pure calculation over what it used.

Source: docs/usage.md, the recommended plan.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from services.catalog.plans import PlanView

# Above this share of a limit a plan is close to full.
CLOSE_PERCENT = 80
Reason = Literal["limit_reached", "limit_close", "extra_credits", "smaller_fits"]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A plan that fits better. Units: ``annual_saving_cents`` in minor units a year.

    ``meter``: the one that decides, by its name; empty where credits decide.
    """

    plan: str
    plan_name: str
    reason: Reason
    meter: str
    percent: int | None
    annual_saving_cents: int


def recommended_plan(
    plans: Sequence[PlanView], current: str | None, used: Mapping[str, int], *, may_shrink: bool = False
) -> Recommendation | None:
    """The cheapest plan whose limits hold what was used, where the present one does not.

    ``used``: units a month by meter. None where the plan in force is right, or none is better. With
    ``may_shrink`` a cheaper plan that still leaves room is recommended too.
    """
    now = next((plan for plan in plans if plan.code == current), None)
    if now is None:
        return None
    tightest = _tightest(now, used)
    sold = [plan for plan in plans if plan.monthly_price_cents is not None and plan.code != now.code]
    if tightest is not None and tightest[1] >= CLOSE_PERCENT:
        better = [plan for plan in sold if _price(plan) > _price(now) and _fits(plan, used)]
        chosen = min(better, key=_price, default=None)
        if chosen is None:
            return None
        reason: Reason = "limit_reached" if tightest[1] >= 100 else "limit_close"
        return _recommendation(chosen, reason, *tightest)
    if may_shrink and not now.is_default:
        smaller = [plan for plan in sold if _price(plan) < _price(now) and _fits(plan, used)]
        chosen = min(smaller, key=_price, default=None)
        if chosen is not None:
            return _recommendation(chosen, "smaller_fits", "", None)
    return None


def _recommendation(plan: PlanView, reason: Reason, meter: str, percent: int | None) -> Recommendation:
    return Recommendation(plan.code, plan.name, reason, meter, percent, annual_saving_cents(plan))


def annual_saving_cents(plan: PlanView) -> int:
    """What a year costs less than twelve months. Units: minor units; 0 where it is not sold by the year."""
    if not plan.monthly_price_cents or not plan.annual_price_cents:
        return 0
    return max(plan.monthly_price_cents * 12 - plan.annual_price_cents, 0)


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
