"""What an account may buy, and at what saving."""

from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from errors import NotFound, SubscriptionRequired
from extensions import db
from models.catalog import Catalog
from services.billing.subscriptions import set_plan
from services.catalog.packages import package_for_sale, packages_for
from services.catalog.plans import plans_for, plans_on_offer
from services.catalog.presets import load_preset
from tests.conftest import make_account

CATALOGS = Path(__file__).resolve().parents[3] / "catalogs"


def account_of(catalog: str) -> int:
    load_preset(CATALOGS / f"{catalog}.toml")
    found = db.session.scalar(select(Catalog.id).where(Catalog.code == catalog))
    return make_account(catalog_id=found)


class TestPackagesFor:
    def test_savings_are_against_the_smallest(self, app: Flask) -> None:
        views = packages_for(account_of("devtools"))
        assert [(view.code, view.saving_percent) for view in views] == [
            ("starter", 0), ("small", 20), ("popular", 30), ("power", 40), ("maximum", 50),
        ]  # fmt: skip
        assert [view.price_per_hundred_cents for view in views] == [500, 400, 350, 300, 250]
        assert not any(view.locked for view in views)
        assert views[2].popular and views[2].price_id == "coffer_devtools_popular"

    def test_locked_until_a_plan_is_there(self, either_app: Flask) -> None:
        account_id = account_of("studio")
        assert all(view.locked and view.locked_reason for view in packages_for(account_id))
        set_plan(account_id, "basic", "month", "command")
        assert not any(view.locked or view.locked_reason for view in packages_for(account_id))

    def test_an_account_without_a_catalogue_has_the_default_one(self, app: Flask) -> None:
        assert packages_for(make_account()) == []
        account_of("devtools")
        assert len(packages_for(make_account())) == 5

    def test_an_unknown_account_is_not_found(self, app: Flask) -> None:
        with pytest.raises(NotFound):
            packages_for(999)


class TestPackageForSale:
    def test_named_by_code_or_price_id(self, app: Flask) -> None:
        account_id = account_of("devtools")
        by_code = package_for_sale(account_id, "small")
        assert package_for_sale(account_id, "coffer_devtools_small") == by_code
        assert (by_code.credits, by_code.price_cents, by_code.currency) == (500, 2000, "usd")

    def test_another_catalogues_package_is_not_found(self, app: Flask) -> None:
        load_preset(CATALOGS / "studio.toml")
        with pytest.raises(NotFound):
            package_for_sale(account_of("devtools"), "credits-500")

    def test_locked_without_a_subscription(self, app: Flask) -> None:
        with pytest.raises(SubscriptionRequired):
            package_for_sale(account_of("studio"), "credits-500")


class TestPlans:
    def test_the_current_one_is_marked(self, app: Flask) -> None:
        account_id = account_of("devtools")
        assert [plan.code for plan in plans_for(account_id) if plan.is_current] == ["free"]
        set_plan(account_id, "team", "year", "command")
        assert [plan.code for plan in plans_for(account_id) if plan.is_current] == ["team"]

    def test_on_offer_to_a_stranger(self, app: Flask) -> None:
        assert plans_on_offer() is None
        account_of("studio")
        offer = plans_on_offer()
        assert offer is not None
        assert [plan.name for plan in offer.plans] == ["Basic", "Professional"]
        assert all(package.locked for package in offer.packages)
        with pytest.raises(NotFound):
            plans_on_offer("none")
