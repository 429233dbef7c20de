"""The catalogue at Stripe: products, prices and coupons, made or brought up to date. Source: docs/stripe.md."""

from dataclasses import dataclass, field

from sqlalchemy import select

from errors import InvalidRequest
from extensions import db
from gateways.payments import Payments
from gateways.subscriptions import PriceFacts, PriceRequest, ProductRequest
from models.catalog import Catalog, Package, Plan
from services.billing.environment import instance_id, note_environment
from services.unit_of_work import atomic

INTERVALS = {"month": "monthly_price_cents", "year": "annual_price_cents"}
PRICE_FIELDS = {"month": "stripe_monthly_price_id", "year": "stripe_annual_price_id"}


@dataclass(slots=True)
class SyncReport:
    """What stands at Stripe now, by catalogue; ``changed``: what was not so before."""

    products: int = 0
    prices: int = 0
    coupons: int = 0
    changed: list[str] = field(default_factory=list)


def sync_catalog(payments: Payments, catalog_code: str | None = None) -> SyncReport:
    """Bring the products and prices of a catalogue, or of all, to Stripe.

    Idempotent. A changed price is a new one under the same lookup key, the old one is archived; who subscribes
    at it keeps it. Raises NotFound, PaymentProviderUnavailable: what was done till then stays done.
    """
    note_environment(payments.terms.environment)
    report = SyncReport()
    wanted = select(Catalog).where(Catalog.archived_at.is_(None))
    if catalog_code is not None:
        wanted = wanted.where(Catalog.code == catalog_code)
    catalogs = db.session.scalars(wanted.order_by(Catalog.id)).all()
    if catalog_code is not None and not catalogs:
        raise InvalidRequest.of("catalogue", "is not known")
    for catalog in catalogs:
        for plan in catalog.plans:
            if plan.archived_at is None and not plan.is_default:
                _sync_plan(plan, payments, report)
        for package in catalog.packages:
            if package.archived_at is None:
                _sync_package(package, payments, report)
    return report


def price_for_subscribing(plan: Plan, interval: str, payments: Payments) -> str:
    """The price of a plan at Stripe, made now where it is not there yet. Raises InvalidRequest: none is sold."""
    if getattr(plan, INTERVALS[interval]) in (None, 0):
        raise InvalidRequest.of("interval", f"is not sold for {plan.name}")
    known = getattr(plan, PRICE_FIELDS[interval])
    if known is None:
        _sync_plan(plan, payments, SyncReport())
        known = getattr(db.session.get_one(Plan, plan.id, populate_existing=True), PRICE_FIELDS[interval])
    return str(known)


def _sync_plan(plan: Plan, payments: Payments, report: SyncReport) -> None:
    catalog, instance = plan.catalog, instance_id()
    metadata = {"coffer_instance": instance, "type": "plan", "catalog": catalog.code, "plan": plan.code}
    key = f"{instance}-{catalog.code}-{plan.code}-{plan.stripe_product_id or 'new'}"
    product_id = payments.have_product(
        ProductRequest(product_id=plan.stripe_product_id, key=key, name=plan.name, metadata=metadata)
    )
    report.products += 1
    prices: dict[str, PriceFacts] = {}
    for interval, name in INTERVALS.items():
        cents = getattr(plan, name)
        if cents:
            prices[interval] = payments.have_price(
                PriceRequest(
                    lookup_key=f"coffer_{catalog.code}_{plan.code}_{interval}", product_id=product_id,
                    catalog=catalog.code, code=plan.code, kind="plan", instance=instance, amount_cents=cents,
                    currency=catalog.currency, interval=interval,
                )
            )  # fmt: skip
            report.prices += 1
    coupon_id = None
    if plan.offer_percent is not None:
        months = plan.offer_months or 1
        name = f"{plan.offer_percent} % off {plan.name}"
        wanted = f"coffer_{catalog.code}_{plan.code}_{plan.offer_percent}_{months}"
        coupon_id = payments.have_coupon(wanted, plan.offer_percent, months, name)
        report.coupons += 1
    _keep_plan(plan.id, product_id, prices, coupon_id, report)


@atomic
def _keep_plan(
    plan_id: int, product_id: str, prices: dict[str, PriceFacts], coupon_id: str | None, report: SyncReport
) -> None:
    plan = db.session.get_one(Plan, plan_id, populate_existing=True)
    told = {"stripe_product_id": product_id, "stripe_coupon_id": coupon_id} | {
        PRICE_FIELDS[interval]: prices[interval].id if interval in prices else None for interval in INTERVALS
    }
    _keep(plan, told, f"{plan.catalog.code}/{plan.code}", report)


def _sync_package(package: Package, payments: Payments, report: SyncReport) -> None:
    catalog, instance = package.catalog, instance_id()
    scale = package.credit_type.scale
    credits = f"{package.credits}e-{scale}" if scale else str(package.credits)
    metadata = {
        "coffer_instance": instance, "type": "credit_package", "credits": credits, "catalog": catalog.code,
        "package": package.code,
    }  # fmt: skip
    key = f"{instance}-{catalog.code}-package-{package.code}-{package.stripe_product_id or 'new'}"
    product_id = payments.have_product(
        ProductRequest(product_id=package.stripe_product_id, key=key, name=package.name, metadata=metadata)
    )
    price = payments.have_price(
        PriceRequest(
            lookup_key=f"coffer_{catalog.code}_{package.code}", product_id=product_id, catalog=catalog.code,
            code=package.code, kind="package", instance=instance, amount_cents=package.price_cents,
            currency=catalog.currency, interval=None,
        )
    )  # fmt: skip
    report.products += 1
    report.prices += 1
    _keep_package(package.id, product_id, price.id, report)


@atomic
def _keep_package(package_id: int, product_id: str, price_id: str, report: SyncReport) -> None:
    package = db.session.get_one(Package, package_id, populate_existing=True)
    told = {"stripe_product_id": product_id, "stripe_price_id": price_id}
    _keep(package, told, f"{package.catalog.code}/{package.code}", report)


def _keep(row: Plan | Package, told: dict[str, str | None], name: str, report: SyncReport) -> None:
    changed = [field for field, value in told.items() if getattr(row, field) != value]
    for field_name in changed:
        setattr(row, field_name, told[field_name])
    if changed:
        report.changed.append(name)
