"""What an account is told about the time to come: the day its credits run out, and what would suit it better."""

from dataclasses import dataclass
from datetime import timedelta

from services.billing.coming_credits import coming_credits
from services.billing.subscriptions import SubscriptionView
from services.catalog.packages import packages_for
from services.catalog.plans import plans_for
from services.clock import business_now
from services.ledger.balances import LotView, lots_of, positions
from services.usage.forecast import Forecast, forecast_of
from services.usage.recommend import Month, Recommendation, recommended_plan
from services.usage.report import MeterUsage, usage_of

MONTH_DAYS = 30
# Credits that last less long than this are running short.
SHORT_DAYS = 14


@dataclass(frozen=True, slots=True)
class Advice:
    """The forecast of the main credit type, and a recommendation where usage calls for one."""

    forecast: Forecast
    recommendation: Recommendation | None


def advice_for(
    account_id: int,
    subscription: SubscriptionView,
    meters: list[MeterUsage],
    lots: list[LotView] | None = None,
) -> Advice:
    """What to tell an account of its plan and credits. ``lots``: open ones of the main credit type, where known."""
    main = positions(account_id)[0]
    known = lots_of(account_id, main.credit_type) if lots is None else lots
    forecast = forecast_of(
        account_id, main.credit_type_id, known, coming_credits(account_id, main.credit_type_id)
    )
    recommendation = recommended_plan(
        plans_for(account_id), subscription.plan, {meter.code: meter.used for meter in meters},
        month=_month(account_id, forecast, meters), packages=packages_for(account_id),
        may_shrink=_may_shrink(subscription) and forecast.daily_units is not None,
    )  # fmt: skip
    return Advice(forecast, recommendation)


def _month(account_id: int, forecast: Forecast, meters: list[MeterUsage]) -> Month | None:
    """What it takes in a month: the last thirty days of counters, and gauges as they stand."""
    if forecast.daily_units is None:
        return None
    totals = usage_of(account_id, MONTH_DAYS).totals if meters else {}
    used = {meter.code: max(meter.used, totals.get(meter.code, 0)) for meter in meters}
    is_short = forecast.runs_out_at is not None and forecast.runs_out_at - business_now() < timedelta(
        days=SHORT_DAYS
    )
    return Month(used, forecast.daily_units * MONTH_DAYS, is_short)


def _may_shrink(subscription: SubscriptionView) -> bool:
    """A plan that is paid for, for a month at least, and that nobody has changed yet."""
    return (
        subscription.is_stripe
        and subscription.status == "active"
        and not subscription.cancel_at_period_end
        and subscription.pending_plan is None
        and subscription.started_at is not None
        and subscription.started_at <= business_now() - timedelta(days=MONTH_DAYS)
    )
