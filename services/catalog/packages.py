"""Packages: credits for a one-time payment, as one account may buy them."""

from dataclasses import dataclass
from fractions import Fraction

from sqlalchemy import select

from errors import NotFound, SubscriptionRequired
from extensions import db
from models.catalog import Catalog, Package
from services.catalog.catalogs import catalog_of
from services.catalog.entitlements import has_active_subscription

SUBSCRIBERS_ONLY = "For subscribers only."


@dataclass(frozen=True, slots=True)
class PackageView:
    """A package as one account sees it.

    Units: ``credits`` in the smallest unit of the credit type, ``price_cents`` in minor units.
    ``saving_percent`` is against buying the same credits at the price of the smallest package.
    """

    package_id: int
    code: str
    name: str
    credits: int
    credit_type_id: int
    credit_type: str
    scale: int
    is_money: bool
    price_cents: int
    currency: str
    price_id: str
    price_per_hundred_cents: int
    popular: bool
    locked: bool
    locked_reason: str | None
    saving_percent: int


def packages_for(account_id: int) -> list[PackageView]:
    """The packages of the account's catalogue, in its order. Raises NotFound."""
    catalog = catalog_of(account_id)
    if catalog is None:
        return []
    return _views(catalog, is_subscriber=has_active_subscription(account_id))


def packages_on_offer(catalog: Catalog) -> list[PackageView]:
    """The packages of a catalogue as a stranger sees them."""
    return _views(catalog, is_subscriber=False)


def package_for_sale(account_id: int, code: str) -> PackageView:
    """The package that an account names by its code or price id.

    Raises NotFound where its catalogue has no such package, SubscriptionRequired where it is locked.
    """
    for view in packages_for(account_id):
        if code in (view.code, view.price_id):
            if view.locked:
                raise SubscriptionRequired("This package is for subscribers; choose a plan first.")
            return view
    raise NotFound("There is no such package on sale for this account.")


def _views(catalog: Catalog, *, is_subscriber: bool) -> list[PackageView]:
    on_sale = db.session.scalars(
        select(Package)
        .where(Package.catalog_id == catalog.id, Package.archived_at.is_(None))
        .order_by(Package.position, Package.id)
    ).all()
    smallest: dict[int, Package] = {}
    for package in sorted(on_sale, key=lambda package: package.credits, reverse=True):
        smallest[package.credit_type_id] = package
    return [_view(package, catalog, smallest[package.credit_type_id], is_subscriber) for package in on_sale]


def _view(package: Package, catalog: Catalog, smallest: Package, is_subscriber: bool) -> PackageView:
    locked = package.subscribers_only and not is_subscriber
    return PackageView(
        package_id=package.id,
        code=package.code,
        name=package.name,
        credits=package.credits,
        credit_type_id=package.credit_type_id,
        credit_type=package.credit_type.code,
        scale=package.credit_type.scale,
        is_money=package.credit_type.is_money,
        price_cents=package.price_cents,
        currency=catalog.currency,
        price_id=package.price_id,
        price_per_hundred_cents=_price_per_hundred(package),
        popular=package.popular,
        locked=locked,
        locked_reason=SUBSCRIBERS_ONLY if locked else None,
        saving_percent=_saving_percent(package, smallest),
    )


def _price_per_hundred(package: Package) -> int:
    """What a hundred whole credits cost in this package, to the nearest minor unit."""
    return round(Fraction(package.price_cents * 100 * 10**package.credit_type.scale, package.credits))


def _saving_percent(package: Package, smallest: Package) -> int:
    """Whole percent, rounded down, never below 0: a saving is never overstated."""
    full_price = Fraction(smallest.price_cents * package.credits, smallest.credits)
    return max(int((1 - package.price_cents / full_price) * 100), 0)
