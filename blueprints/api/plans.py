"""Calls about what an account may buy, what it is on and what it has paid."""

from decimal import Decimal
from typing import Any

from flask import Response

from blueprints.api import answers, schemas
from blueprints.api.calls import Asked, answered, call
from errors import AccountFrozen, BalanceLimit, NotFound
from services.billing.payments import PaymentView, payments_of
from services.billing.subscriptions import SubscriptionView, set_plan, subscription_of
from services.catalog.packages import packages_for
from services.catalog.plans import LimitView, plans_for
from services.clock import iso
from services.money import currency_digits, to_number


@call(
    "GET", "/api/credits/packages", "The packages that an account may buy", scope="read",
    query=schemas.OnAccount, answers={200: answers.Packages}, refusals=(NotFound,),
)  # fmt: skip
def packages(asked: Asked) -> Response:
    return answered(
        {
            "packages": [
                {
                    "code": package.code,
                    "name": package.name,
                    "credits": to_number(package.credits, package.scale),
                    "credit_type": package.credit_type,
                    "price_cents": package.price_cents,
                    "currency": package.currency,
                    "price_id": package.price_id,
                    "popular": package.popular,
                    "locked": package.locked,
                    "locked_reason": package.locked_reason,
                }
                for package in packages_for(asked.account_id)
            ]
        }
    )


@call(
    "GET", "/api/plans", "The plans that an account may be on", scope="read",
    query=schemas.OnAccount, answers={200: answers.Plans}, refusals=(NotFound,),
)  # fmt: skip
def plans(asked: Asked) -> Response:
    return answered(
        {
            "plans": [
                {
                    "code": plan.code,
                    "name": plan.name,
                    "description": plan.description,
                    "monthly_price_cents": plan.monthly_price_cents,
                    "annual_price_cents": plan.annual_price_cents,
                    "currency": plan.currency,
                    "credits": to_number(plan.credits_per_month, plan.scale),
                    "credit_type": plan.credit_type,
                    "features": list(plan.features),
                    "is_default": plan.is_default,
                    "is_current": plan.is_current,
                    "limits": [_limit(limit) for limit in plan.limits],
                    "offer": (
                        {"percent": plan.offer.percent, "months": plan.offer.months} if plan.offer else None
                    ),
                    "contact_url": plan.contact_url,
                }
                for plan in plans_for(asked.account_id)
            ]
        }
    )


@call(
    "GET", "/api/user/subscription", "The plan that an account is on", scope="read",
    query=schemas.OnAccount, answers={200: answers.Subscription}, refusals=(NotFound,),
)  # fmt: skip
def subscription(asked: Asked) -> Response:
    return answered(_subscription(subscription_of(asked.account_id)))


@call(
    "POST", "/api/user/subscription", "Put an account on a plan without Stripe", scope="manage",
    platform_only=True, body=schemas.SubscriptionBody, answers={200: answers.Subscription},
    refusals=(NotFound, AccountFrozen, BalanceLimit),
)  # fmt: skip
def change_subscription(asked: Asked) -> Response:
    account_id, body = asked.account_id, asked.body

    def operation() -> tuple[int, dict[str, Any]]:
        changed = set_plan(account_id, body.plan, body.interval or "month", asked.caller.actor)
        return 200, _subscription(changed)

    return asked.once(account_id, operation)


@call(
    "GET", "/api/user/payments", "What an account has paid, newest first", scope="read",
    query=schemas.PageQuery, answers={200: answers.Payments}, refusals=(NotFound,),
)  # fmt: skip
def payments(asked: Asked) -> Response:
    page = payments_of(asked.account_id, asked.query.limit, asked.query.offset)
    return answered(
        {
            "payments": [_payment(payment) for payment in page.payments],
            "pagination": {
                "total": page.total,
                "limit": page.limit,
                "offset": page.offset,
                "has_more": page.has_more,
            },
        }
    )


def _limit(limit: LimitView) -> dict[str, Any]:
    per_unit = limit.credits_per_unit
    return {
        "meter": limit.meter,
        "name": limit.meter_name,
        "kind": limit.kind,
        "included": limit.included,
        "over": limit.over_limit,
        "credits_per_unit": None if per_unit is None else to_number(per_unit, limit.scale),
    }


def _subscription(view: SubscriptionView) -> dict[str, Any]:
    return {
        "has_active_subscription": view.has_active_subscription,
        "plan": view.plan,
        "plan_name": view.plan_name,
        "features": list(view.features),
        "status": view.status,
        "interval": view.interval,
        "price": _money(view.price_cents, view.currency),
        "price_cents": view.price_cents,
        "currency": view.currency,
        "current_period_end": iso(view.current_period_end) if view.current_period_end else None,
        "cancel_at_period_end": view.cancel_at_period_end,
        "pending_plan": view.pending_plan,
    }


def _payment(payment: PaymentView) -> dict[str, Any]:
    return {
        "id": payment.id,
        "description": payment.description,
        "plan": payment.plan,
        "amount": _money(payment.amount_cents, payment.currency),
        "amount_cents": payment.amount_cents,
        "refunded_cents": payment.refunded_cents,
        "currency": payment.currency,
        "status": payment.status,
        "invoice_url": payment.invoice_url,
        "created_at": iso(payment.created_at),
    }


def _money(cents: int | None, currency: str | None) -> int | float | None:
    """Minor units as a number of the currency's main unit."""
    if cents is None or currency is None:
        return None
    amount = Decimal(cents).scaleb(-currency_digits(currency))
    return int(amount) if amount == amount.to_integral_value() else float(amount)
