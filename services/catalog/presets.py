"""Loading a catalogue from a file, and writing one out: by code, in one unit, nothing ever deleted."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import inspect, select, update

from errors import InvalidRequest
from extensions import db
from models.catalog import Catalog, CreditType, Meter, Package, Plan, PricedAction
from services.agencies.pricing import Scope, own_prices, set_cost, set_price
from services.audit import record
from services.catalog.catalogs import default_catalog
from services.catalog.credit_types import ensure_defaults
from services.catalog.limit_loading import load_limits, load_ratios, type_named
from services.catalog.preset_file import (
    ActionPart,
    CatalogFile,
    CreditTypePart,
    MeterPart,
    PackagePart,
    PlanPart,
    read_catalog_file,
)
from services.clock import business_now
from services.money import to_units
from services.unit_of_work import atomic


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load left on offer."""

    catalog: str
    plans: int
    packages: int
    archived: int


def load_preset(path: Path, actor: str = "command") -> Loaded:
    """Load a catalogue file. Raises InvalidRequest, which names each wrong place. Idempotent."""
    return load_catalog(read_catalog_file(path), actor)


@atomic
def load_catalog(file: CatalogFile, actor: str) -> Loaded:
    """Make a catalogue what a file says: known codes are changed, new ones added, missing ones archived.

    Raises InvalidRequest where the file contradicts what has been used: a scale, a currency.
    """
    now = business_now()
    ensure_defaults()
    catalog = _catalog(file, now)
    types = _credit_types(file, catalog.currency, now)
    catalog.wallet_type_id = next((types[part.code].id for part in file.credit_types if part.money), None)
    archived = _load_parts(Meter, file.meters, "meters", catalog, now, lambda part, _: _meter(part))
    db.session.flush()
    archived += _load_parts(
        Plan, file.plans, "plans", catalog, now, lambda part, place: _plan(part, place, types)
    )
    archived += _load_parts(
        Package, file.packages, "packages", catalog, now, lambda part, place: _package(part, place, types)
    )
    archived += _load_parts(
        PricedAction, file.actions, "actions", catalog, now, lambda part, place: _action(part, place, types)
    )
    db.session.flush()
    load_ratios(file, catalog.id)
    load_limits(file, catalog.id, types)
    _load_overage(file, catalog, types, actor)
    record(
        "catalog.loaded",
        actor,
        None,
        catalog=catalog.code,
        plans=len(file.plans),
        packages=len(file.packages),
    )
    return Loaded(catalog.code, len(file.plans), len(file.packages), archived)


def _load_overage(file: CatalogFile, catalog: Catalog, types: dict[str, CreditType], actor: str) -> None:
    """Prices and costs from here on; one that the file no longer names is sold no more."""
    scope = Scope(catalog_id=catalog.id)
    for position, part in enumerate(file.overage):
        type_named(part.credit_type, f"overage[{position}]", types)
        set_cost(scope, part.credit_type, part.cost_cents, actor=actor)
        set_price(scope, part.credit_type, part.price_cents, actor=actor)
    named = {part.credit_type for part in file.overage}
    for kind in types.values():
        if kind.code not in named and kind.id in own_prices([scope])[scope]:
            set_price(scope, kind.code, None, actor=actor)


def _catalog(file: CatalogFile, now: datetime) -> Catalog:
    part = file.catalog
    catalog = db.session.scalar(select(Catalog).where(Catalog.code == part.code))
    if catalog is None:
        catalog = Catalog(code=part.code, currency=part.currency, is_default=False, created_at=now)
        db.session.add(catalog)
    if catalog.currency != part.currency:
        raise InvalidRequest.of(
            "catalog.currency", f"is {catalog.currency} and cannot change; load another catalogue"
        )
    catalog.name, catalog.archived_at = part.name, None
    present = default_catalog()
    if part.default and present is not None and present is not catalog:
        present.is_default = False
        db.session.flush()
    catalog.is_default = part.default or present is None or present is catalog
    db.session.flush()
    return catalog


def _credit_types(file: CatalogFile, currency: str, now: datetime) -> dict[str, CreditType]:
    known = {row.code: row for row in db.session.scalars(select(CreditType))}
    for position, part in enumerate(file.credit_types):
        row = known.get(part.code)
        if row is None:
            row = CreditType(code=part.code, scale=part.scale, is_money=part.money, created_at=now)
            row.currency = currency if part.money else None
            row.position = len(known)
            db.session.add(row)
            known[part.code] = row
        _check_unchanged(row, part, currency, f"credit_types[{position}]")
        row.name = part.name
    db.session.flush()
    return known


def _check_unchanged(row: CreditType, part: CreditTypePart, currency: str, place: str) -> None:
    """Amounts are kept in the smallest unit: another scale would change every one of them."""
    if row.scale != part.scale:
        raise InvalidRequest.of(f"{place}.scale", f"is {row.scale} and cannot change")
    if row.is_money != part.money or (part.money and row.currency != currency):
        raise InvalidRequest.of(f"{place}.money", "cannot change once the credit type is there")


def _load_parts(
    model: Any, parts: list[Any], name: str, catalog: Catalog, now: datetime, values_of: Any
) -> int:
    """Bring a catalogue's rows in line with a file's; how many were archived."""
    rows = {row.code: row for row in db.session.scalars(select(model).where(model.catalog_id == catalog.id))}
    wanted = {part.code for part in parts}
    gone = [row for code, row in rows.items() if code not in wanted and row.archived_at is None]
    for row in gone:
        row.archived_at = now
    if model is Plan:
        # One default at a time, so the old one steps down before the new one steps up.
        db.session.flush()
        db.session.execute(update(Plan).where(Plan.catalog_id == catalog.id).values(is_default=False))
    for position, part in enumerate(parts):
        row = rows.get(part.code)
        if row is None:
            row = model(code=part.code, catalog_id=catalog.id, created_at=now)
            db.session.add(row)
        row.position, row.archived_at = position, None
        for column, value in values_of(part, f"{name}[{position}]").items():
            if column == "price_cents" and row.price_cents not in (None, value):
                row.stripe_price_id = None  # a changed price is another price at Stripe
            setattr(row, column, value)
        if model is Plan:
            _forget_changed_prices(row)
    return len(gone)


def _forget_changed_prices(plan: Plan) -> None:
    """A changed price is another price at the payment provider, and a changed offer another coupon."""
    changed = {
        each.key for each in inspect(plan).attrs if each.history.has_changes() and not inspect(plan).pending
    }
    if "monthly_price_cents" in changed:
        plan.stripe_monthly_price_id = None
    if "annual_price_cents" in changed:
        plan.stripe_annual_price_id = None
    if changed & {"offer_percent", "offer_months"}:
        plan.stripe_coupon_id = None


def _meter(part: MeterPart) -> dict[str, Any]:
    return {"name": part.name, "kind": part.kind, "ratio_name": part.ratio_name}


def _action(part: ActionPart, place: str, types: dict[str, CreditType]) -> dict[str, Any]:
    credit_type = type_named(part.credit_type, place, types)
    return {
        "name": part.name,
        "credit_type_id": credit_type.id,
        "credits": to_units(part.credits, credit_type.scale, f"{place}.credits"),
    }


def _plan(part: PlanPart, place: str, types: dict[str, CreditType]) -> dict[str, Any]:
    credit_type = type_named(part.credit_type, place, types)
    has_credits = part.credits_per_month not in (0, "0")
    return {
        "name": part.name,
        "description": part.description,
        "monthly_price_cents": part.monthly_price_cents,
        "annual_price_cents": part.annual_price_cents,
        "credit_type_id": credit_type.id,
        "credits_per_month": (
            to_units(part.credits_per_month, credit_type.scale, f"{place}.credits_per_month")
            if has_credits
            else 0
        ),
        "credits_expire": part.credits_expire,
        "features": json.dumps(part.features),
        "is_default": part.default,
        "contact_url": part.contact_url,
        "offer_percent": part.offer.percent if part.offer else None,
        "offer_months": part.offer.months if part.offer else None,
    }


def _package(part: PackagePart, place: str, types: dict[str, CreditType]) -> dict[str, Any]:
    credit_type = type_named(part.credit_type, place, types)
    return {
        "name": part.name,
        "credit_type_id": credit_type.id,
        "credits": to_units(part.credits, credit_type.scale, f"{place}.credits"),
        "price_cents": part.price_cents,
        "popular": part.popular,
        "subscribers_only": part.subscribers_only,
    }
