"""Calls that record usage against the plan's limits, and read it; what a job will cost."""

from typing import Any

from flask import Response

from blueprints.api import answers, schemas
from blueprints.api.calls import Asked, answered, call
from errors import AccountFrozen, BalanceLimit, LimitReached, NotFound, SpendingCapReached
from services.catalog.estimates import estimate as estimate_of
from services.clock import iso
from services.money import to_number
from services.usage.meters import Increment, UsageReceipt, credits_number, record_usage, set_gauge
from services.usage.report import MeterUsage, Ratio, UsageReport, usage_of

REFUSALS = (LimitReached, SpendingCapReached, AccountFrozen, NotFound, BalanceLimit)


@call(
    "POST", "/api/user/usage/increment", "Record usage of a meter", scope="spend",
    body=schemas.IncrementBody, answers={200: answers.UsageRecorded}, refusals=REFUSALS,
)  # fmt: skip
def increment_usage(asked: Asked) -> Response:
    account_id, body = asked.account_id, asked.body
    wanted = Increment(
        account_id=account_id, meter=body.meter, quantity=body.quantity,
        actor=asked.caller.actor, task_id=body.task_id,
    )  # fmt: skip
    return asked.once(account_id, lambda: (200, _recorded(record_usage(wanted))))


@call(
    "POST", "/api/user/usage/set", "Set what a gauge shows", scope="spend",
    body=schemas.GaugeBody, answers={200: answers.UsageRecorded}, refusals=REFUSALS,
)  # fmt: skip
def set_usage(asked: Asked) -> Response:
    account_id, body = asked.account_id, asked.body
    return asked.once(
        account_id,
        lambda: (200, _recorded(set_gauge(account_id, body.meter, body.value, asked.caller.actor))),
    )


def _recorded(receipt: UsageReceipt) -> dict[str, Any]:
    return {
        "allowed": True,
        "meter": receipt.meter,
        "used": receipt.used,
        "limit": receipt.limit,
        "remaining": receipt.remaining,
        "credits_used": credits_number(receipt),
    }


@call(
    "GET", "/api/user/usage", "Usage of each meter, ratios, and the days behind them", scope="read",
    query=schemas.UsageQuery, answers={200: answers.Usage}, refusals=(NotFound,),
)  # fmt: skip
def usage(asked: Asked) -> Response:
    return answered(_usage(usage_of(asked.account_id, asked.query.days)))


@call(
    "GET", "/api/customer/usage", "The same as /api/user/usage", scope="read",
    query=schemas.UsageQuery, answers={200: answers.Usage}, refusals=(NotFound,),
)  # fmt: skip
def customer_usage(asked: Asked) -> Response:
    return usage(asked)


def _usage(report: UsageReport) -> dict[str, Any]:
    return {
        "period": {
            "days": report.days,
            "from": report.first_day.isoformat(),
            "to": report.last_day.isoformat(),
            "starts_at": iso(report.window.starts_at),
            "ends_at": iso(report.window.ends_at),
        },
        "meters": [_meter(meter) for meter in report.meters],
        "ratios": [_ratio(ratio) for ratio in report.ratios],
        "daily": [{"date": day.day.isoformat(), **day.counts} for day in report.daily],
    }


def _meter(meter: MeterUsage) -> dict[str, Any]:
    return {
        "code": meter.code,
        "name": meter.name,
        "kind": meter.kind,
        "used": meter.used,
        "limit": meter.limit,
        "remaining": meter.remaining,
        "percent": meter.percent,
        "warning": meter.warning,
        "credits_used": to_number(meter.credits_used, meter.scale),
        "resets_at": iso(meter.resets_at) if meter.resets_at else None,
    }


def _ratio(ratio: Ratio) -> dict[str, Any]:
    return {
        "code": ratio.code,
        "name": ratio.name,
        "percent": ratio.percent,
        "numerator": ratio.numerator,
        "denominator": ratio.denominator,
    }


@call(
    "POST", "/api/credits/estimate", "What a job will cost, and whether there is enough", scope="read",
    body=schemas.EstimateBody, answers={200: answers.Estimated}, refusals=(NotFound, BalanceLimit),
    writes=False,
)  # fmt: skip
def estimate(asked: Asked) -> Response:
    account_id, body = asked.account_id, asked.body
    items = [(item.price, item.quantity) for item in body.items]

    def operation() -> tuple[int, dict[str, Any]]:
        found = estimate_of(account_id, items)
        return 200, {
            "amount": to_number(found.amount, found.scale),
            "type": found.credit_type,
            "available": to_number(found.available, found.scale),
            "sufficient": found.is_sufficient,
            "lines": [
                {
                    "price": line.code,
                    "name": line.name,
                    "quantity": line.quantity,
                    "amount": to_number(line.amount, found.scale),
                }
                for line in found.lines
            ],
        }

    return asked.once(account_id, operation)
