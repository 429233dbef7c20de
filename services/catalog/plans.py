"""Plans: what a catalogue offers by the month or the year."""

import json
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from errors import NotFound
from extensions import db
from models.catalog import Catalog, Plan, PlanLimit
from services.catalog.catalogs import catalog_named, catalog_of, default_catalog
from services.catalog.entitlements import open_subscription
from services.catalog.packages import PackageView, packages_on_offer


@dataclass(frozen=True, slots=True)
class LimitView:
    """What a plan includes of a meter. ``included`` None: without limit.

    Units: ``credits_per_unit`` in the smallest unit of the credit type, where credits are taken beyond.
    """

    meter: str
    meter_name: str
    kind: str
    included: int | None
    over_limit: str
    credits_per_unit: int | None
    credit_type: str | None
    scale: int


@dataclass(frozen=True, slots=True)
class OfferView:
    """So many per cent off for so many months, for whoever subscribes for the first time, by the month."""

    percent: int
    months: int


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan. Units: prices in minor units, ``credits_per_month`` in the smallest unit of the credit type.

    ``monthly_price_cents`` is None where the price is by contact.
    """

    plan_id: int
    code: str
    name: str
    description: str
    monthly_price_cents: int | None
    annual_price_cents: int | None
    currency: str
    credits_per_month: int
    credit_type: str
    scale: int
    is_money: bool
    credits_expire: str
    features: tuple[str, ...]
    is_default: bool
    is_current: bool
    limits: tuple[LimitView, ...]
    offer: OfferView | None
    contact_url: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A catalogue as a stranger sees it."""

    code: str
    name: str
    currency: str
    plans: list[PlanView]
    packages: list[PackageView]


def plans_for(account_id: int) -> list[PlanView]:
    """The plans of the account's catalogue, its own marked. Raises NotFound."""
    catalog = catalog_of(account_id)
    if catalog is None:
        return []
    current = current_plan(account_id)
    return [plan_view(plan, catalog.currency, is_current=plan == current) for plan in _plans_of(catalog)]


def plans_on_offer(catalog_code: str | None = None) -> Offer | None:
    """A catalogue's plans and packages for whoever comes; the default one's where none is named.

    None where no catalogue has been loaded. Raises NotFound.
    """
    catalog = default_catalog() if catalog_code is None else catalog_named(catalog_code)
    if catalog is None:
        return None
    plans = [plan_view(plan, catalog.currency) for plan in _plans_of(catalog)]
    return Offer(catalog.code, catalog.name, catalog.currency, plans, packages_on_offer(catalog))


def plan_named(account_id: int, code: str) -> Plan:
    """The plan of a code in the account's catalogue. Raises NotFound."""
    catalog = catalog_of(account_id)
    for plan in _plans_of(catalog) if catalog else []:
        if plan.code == code:
            return plan
    raise NotFound("There is no such plan for this account.")


def current_plan(account_id: int) -> Plan | None:
    """The plan an account is on: its subscription's, else its catalogue's free default."""
    subscription = open_subscription(account_id)
    if subscription is not None:
        return subscription.plan
    catalog = catalog_of(account_id)
    return next((plan for plan in _plans_of(catalog) if plan.is_default), None) if catalog else None


def plan_view(plan: Plan, currency: str, *, is_current: bool = False) -> PlanView:
    """A plan in plain values."""
    return PlanView(
        plan_id=plan.id,
        code=plan.code,
        name=plan.name,
        description=plan.description,
        monthly_price_cents=plan.monthly_price_cents,
        annual_price_cents=plan.annual_price_cents,
        currency=currency,
        credits_per_month=plan.credits_per_month,
        credit_type=plan.credit_type.code,
        scale=plan.credit_type.scale,
        is_money=plan.credit_type.is_money,
        credits_expire=plan.credits_expire,
        features=tuple(json.loads(plan.features)),
        is_default=plan.is_default,
        is_current=is_current,
        limits=_limits_of(plan),
        offer=OfferView(plan.offer_percent, plan.offer_months or 1) if plan.offer_percent else None,
        contact_url=plan.contact_url,
    )


def _limits_of(plan: Plan) -> tuple[LimitView, ...]:
    """The limits of meters that are not archived, in the order of the screen."""
    rows = [limit for limit in plan.limits if limit.meter.archived_at is None]
    rows.sort(key=lambda limit: (limit.meter.position, limit.meter_id))
    return tuple(
        LimitView(
            limit.meter.code, limit.meter.name, limit.meter.kind, limit.included, limit.over_limit,
            limit.credits_per_unit, limit.credit_type.code if limit.credit_type else None,
            limit.credit_type.scale if limit.credit_type else 0,
        )
        for limit in rows
    )  # fmt: skip


def _plans_of(catalog: Catalog) -> list[Plan]:
    return list(
        db.session.scalars(
            select(Plan)
            .where(Plan.catalog_id == catalog.id, Plan.archived_at.is_(None))
            .options(
                selectinload(Plan.limits).joinedload(PlanLimit.meter),
                selectinload(Plan.limits).joinedload(PlanLimit.credit_type),
                joinedload(Plan.credit_type),
            )
            .order_by(Plan.position, Plan.id)
        )
    )
