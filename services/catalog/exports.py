"""Writing a catalogue as TOML."""

import json
from typing import Any

from sqlalchemy import select

from extensions import db
from models.catalog import Catalog, CreditType, Package, Plan
from services.catalog.catalogs import catalog_named
from services.money import from_units


def export_catalog(code: str) -> str:
    """A catalogue as the text of a file that loads to the same. Raises NotFound."""
    catalog = catalog_named(code)
    plans = [row for row in catalog.plans if row.archived_at is None]
    packages = [row for row in catalog.packages if row.archived_at is None]
    used = {row.credit_type_id for row in (*plans, *packages)}
    types = db.session.scalars(select(CreditType).where(CreditType.id.in_(used)).order_by(CreditType.id))
    return "\n".join(
        [
            _table("[catalog]", _catalog(catalog)),
            *(_table("[[credit_types]]", _credit_type(row)) for row in types),
            *(_table("[[plans]]", _plan(row)) for row in plans),
            *(_table("[[packages]]", _package(row)) for row in packages),
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


def _plan(row: Plan) -> dict[str, Any]:
    has_price = row.monthly_price_cents is not None or row.annual_price_cents is not None
    return {
        "code": row.code,
        "name": row.name,
        "description": row.description,
        "monthly_price_cents": row.monthly_price_cents,
        "annual_price_cents": row.annual_price_cents,
        "contact": not has_price,
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
