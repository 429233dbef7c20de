"""Writing a catalogue as TOML."""

import json
from typing import Any

from sqlalchemy import select

from extensions import db
from models.catalog import Catalog, CreditType, Meter, Package, Plan, PlanLimit, PricedAction
from services.agencies.pricing import Scope, catalog_costs, own_prices
from services.catalog.catalogs import catalog_named
from services.money import from_units


def export_catalog(code: str) -> str:
    """A catalogue as the text of a file that loads to the same. Raises NotFound."""
    catalog = catalog_named(code)
    plans = [row for row in catalog.plans if row.archived_at is None]
    packages = [row for row in catalog.packages if row.archived_at is None]
    meters = [row for row in catalog.meters if row.archived_at is None]
    actions = [row for row in catalog.actions if row.archived_at is None]
    used = {row.credit_type_id for row in (*plans, *packages, *actions)} | {catalog.wallet_type_id}
    used |= {limit.credit_type_id for plan in plans for limit in plan.limits}
    scope = Scope(catalog_id=catalog.id)
    prices, costs = own_prices([scope])[scope], catalog_costs(catalog.id)
    used |= set(prices)
    types = list(
        db.session.scalars(select(CreditType).where(CreditType.id.in_(used)).order_by(CreditType.id))
    )
    sold = [kind for kind in types if kind.id in prices]
    return "\n".join(
        [
            _table("[catalog]", _catalog(catalog)),
            *(_table("[[credit_types]]", _credit_type(row)) for row in types),
            *(_table("[[meters]]", _meter(row)) for row in meters),
            *(_whole_plan(row) for row in plans),
            *(_table("[[packages]]", _package(row)) for row in packages),
            *(_table("[[actions]]", _action(row)) for row in actions),
            *(_table("[[overage]]", _overage(row, prices[row.id], costs.get(row.id))) for row in sold),
        ]
    )


def _table(head: str, values: dict[str, Any]) -> str:
    lines = [f"{key} = {_value(value)}" for key, value in values.items() if value is not None]
    return "\n".join([head, *lines, ""])


def _value(value: Any) -> str:
    """JSON's text, booleans, integers and lists of text are TOML's too, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _amount(units: int, scale: int) -> int | str:
    return units if scale == 0 else str(from_units(units, scale))


def _catalog(row: Catalog) -> dict[str, Any]:
    return {"code": row.code, "name": row.name, "currency": row.currency, "default": row.is_default}


def _credit_type(row: CreditType) -> dict[str, Any]:
    return {"code": row.code, "name": row.name, "scale": row.scale, "money": row.is_money}


def _meter(row: Meter) -> dict[str, Any]:
    ratio_of = row.ratio_of.code if row.ratio_of is not None else None
    return {
        "code": row.code,
        "name": row.name,
        "kind": row.kind,
        "ratio_of": ratio_of,
        "ratio_name": row.ratio_name if ratio_of else None,
    }


def _whole_plan(row: Plan) -> str:
    """A plan with the tables that belong to it."""
    offer = {"percent": row.offer_percent, "months": row.offer_months}
    limits = sorted(row.limits, key=lambda limit: (limit.meter.position, limit.meter_id))
    return "\n".join(
        [
            _table("[[plans]]", _plan(row)),
            *([_table("[plans.offer]", offer)] if row.offer_percent else []),
            *(_table(f"[plans.limits.{limit.meter.code}]", _limit(limit)) for limit in limits),
        ]
    )


def _limit(row: PlanLimit) -> dict[str, Any]:
    values: dict[str, Any] = {"included": row.included, "over": row.over_limit}
    if row.credit_type is not None and row.credits_per_unit is not None:
        values["credits_per_unit"] = _amount(row.credits_per_unit, row.credit_type.scale)
        values["credit_type"] = row.credit_type.code
    return values


def _action(row: PricedAction) -> dict[str, Any]:
    return {
        "code": row.code,
        "name": row.name,
        "credit_type": row.credit_type.code,
        "credits": _amount(row.credits, row.credit_type.scale),
    }


def _overage(row: CreditType, price_cents: int, cost_cents: int | None) -> dict[str, Any]:
    return {"credit_type": row.code, "price_cents": price_cents, "cost_cents": cost_cents}


def _plan(row: Plan) -> dict[str, Any]:
    has_price = row.monthly_price_cents is not None or row.annual_price_cents is not None
    return {
        "code": row.code,
        "name": row.name,
        "description": row.description,
        "monthly_price_cents": row.monthly_price_cents,
        "annual_price_cents": row.annual_price_cents,
        "contact": not has_price,
        "contact_url": row.contact_url,
        "credit_type": row.credit_type.code,
        "credits_per_month": _amount(row.credits_per_month, row.credit_type.scale),
        "credits_expire": row.credits_expire,
        "features": json.loads(row.features),
        "default": row.is_default,
    }


def _package(row: Package) -> dict[str, Any]:
    return {
        "code": row.code,
        "name": row.name,
        "credit_type": row.credit_type.code,
        "credits": _amount(row.credits, row.credit_type.scale),
        "price_cents": row.price_cents,
        "popular": row.popular,
        "subscribers_only": row.subscribers_only,
    }
