"""Loading catalogue files: checked, by code, archived rather than deleted."""

from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select

from errors import InvalidRequest, NotFound
from extensions import db
from models.catalog import Catalog, CreditType, Package, Plan
from services.catalog.exports import export_catalog
from services.catalog.preset_file import parse_catalog
from services.catalog.presets import load_catalog, load_preset

CATALOGS = Path(__file__).resolve().parents[3] / "catalogs"
SMALL = """
[catalog]
code = "small"
name = "Small"

[[plans]]
code = "gold"
name = "Gold"
monthly_price_cents = 900
credits_per_month = 10

[[packages]]
code = "one"
name = "One"
credits = 100
price_cents = 500

[[packages]]
code = "two"
name = "Two"
credits = 200
price_cents = 900
"""


def load(text: str):
    return load_catalog(parse_catalog(text), "command")


class TestLoadPreset:
    def test_studio_is_what_the_business_sells(self, either_app: Flask) -> None:
        load_preset(CATALOGS / "studio.toml")
        rows = db.session.scalars(select(Package).order_by(Package.position)).all()
        assert [(row.credits, row.price_cents, row.subscribers_only) for row in rows] == [
            (500, 500, True), (1000, 900, True), (2500, 2000, True), (5000, 3500, True),
        ]  # fmt: skip
        plans = {row.code: row for row in db.session.scalars(select(Plan))}
        assert plans["basic"].monthly_price_cents == 999
        professional = plans["professional"]
        assert (professional.monthly_price_cents, professional.credits_per_month) == (2999, 1000)
        assert professional.credits_expire == "30d"

    def test_devtools_has_its_packages_and_a_free_default(self, app: Flask) -> None:
        load_preset(CATALOGS / "devtools.toml")
        rows = db.session.scalars(select(Package).order_by(Package.position)).all()
        assert [(row.name, row.credits, row.price_cents) for row in rows] == [
            ("Starter", 100, 500), ("Small", 500, 2000), ("Popular", 1000, 3500),
            ("Power", 5000, 15000), ("Maximum", 10000, 25000),
        ]  # fmt: skip
        assert [row.code for row in rows if row.popular] == ["popular"]
        assert [row.code for row in db.session.scalars(select(Plan).where(Plan.is_default))] == ["free"]

    def test_twice_changes_nothing(self, either_app: Flask) -> None:
        load_preset(CATALOGS / "devtools.toml")
        before = [(row.id, row.code) for row in db.session.scalars(select(Package))]
        loaded = load_preset(CATALOGS / "devtools.toml")
        assert loaded.archived == 0
        assert [(row.id, row.code) for row in db.session.scalars(select(Package))] == before
        assert db.session.scalar(select(func.count(Plan.id))) == 4

    def test_what_is_gone_is_archived_and_comes_back(self, app: Flask) -> None:
        load(SMALL)
        without_two = SMALL[: SMALL.rindex("[[packages]]")]
        assert load(without_two).archived == 1
        two = db.session.scalar(select(Package).where(Package.code == "two"))
        assert two is not None and two.archived_at is not None
        load(SMALL)
        db.session.refresh(two)
        assert two.archived_at is None

    def test_a_changed_price_forgets_the_price_at_stripe(self, app: Flask) -> None:
        load(SMALL)
        for row in db.session.scalars(select(Package)):
            row.stripe_price_id = f"price_{row.code}"
        db.session.commit()
        load(SMALL.replace("price_cents = 900\n", "price_cents = 800\n").replace(
            "monthly_price_cents = 800", "monthly_price_cents = 900"))  # fmt: skip
        kept = {row.code: row.stripe_price_id for row in db.session.scalars(select(Package))}
        assert kept == {"one": "price_one", "two": None}

    def test_the_first_is_the_default_until_another_says_so(self, app: Flask) -> None:
        load(SMALL)
        load(SMALL.replace('"small"', '"other"'))
        load(SMALL.replace('"small"', '"third"').replace('name = "Small"', 'name = "Third"\ndefault = true'))
        defaults = {row.code: row.is_default for row in db.session.scalars(select(Catalog))}
        assert defaults == {"small": False, "other": False, "third": True}

    def test_the_free_plan_may_move(self, either_app: Flask) -> None:
        free = '\n[[plans]]\ncode = "{}"\nname = "Free"\nmonthly_price_cents = 0\ndefault = {}\n'
        load(SMALL + free.format("a", "true") + free.format("b", "false"))
        load(SMALL + free.format("a", "false") + free.format("b", "true"))
        assert [row.code for row in db.session.scalars(select(Plan).where(Plan.is_default))] == ["b"]

    @pytest.mark.parametrize(
        ("old", "new", "place"),
        [
            ("price_cents = 500", "price_cents = -1", "packages[0].price_cents"),
            ("price_cents = 500", 'price_cents = "5"', "packages[0].price_cents"),
            ("price_cents = 500", "", "packages[0].price_cents"),
            ("credits = 200", "credits = 2.5", "packages[1].credits"),
            ("credits = 200", "credits = 0", "packages[1].credits"),
            ("credits = 200", "credits = true", "packages[1].credits"),
            ("credits = 200", "credits = 200\ncolour = 1", "packages[1].colour"),
            ('code = "two"', 'code = "one"', "packages[1].code"),
            ('code = "two"', 'code = "Two!"', "packages[1].code"),
            ('code = "two"', 'code = "two"\ncredit_type = "coins"', "packages[1].credit_type"),
            ('name = "Small"', 'name = "Small"\ncurrency = "xxq"', "catalog.currency"),
            ("credits_per_month = 10", 'credits_expire = "soon"', "plans[0].credits_expire"),
            ("credits_per_month = 10", "default = true", "plans[0].monthly_price_cents"),
            ("monthly_price_cents = 900", "", "plans[0].contact"),
            ("[catalog]", "[catalog", "file"),
        ],
    )
    def test_a_wrong_place_is_named_and_nothing_is_loaded(
        self, app: Flask, old: str, new: str, place: str
    ) -> None:
        with pytest.raises(InvalidRequest) as refusal:
            load(SMALL.replace(old, new, 1))
        assert refusal.value.errors[0].field == place
        assert db.session.scalar(select(func.count(Catalog.id))) == 0

    def test_a_scale_or_currency_in_use_cannot_change(self, app: Flask) -> None:
        load(SMALL)
        with pytest.raises(InvalidRequest, match=r"credit_types\[0\].scale"):
            load(SMALL + '\n[[credit_types]]\ncode = "credits"\nname = "Credits"\nscale = 2\n')
        with pytest.raises(InvalidRequest, match=r"catalog.currency"):
            load(SMALL.replace('name = "Small"', 'name = "Small"\ncurrency = "eur"'))
        assert db.session.scalar(select(CreditType.scale)) == 0

    def test_a_missing_file_is_named(self, app: Flask, tmp_path: Path) -> None:
        with pytest.raises(InvalidRequest, match="file"):
            load_preset(tmp_path / "none.toml")


class TestExportCatalog:
    @pytest.mark.parametrize("name", ["studio", "devtools"])
    def test_an_export_loads_to_the_same(self, app: Flask, name: str) -> None:
        load_preset(CATALOGS / f"{name}.toml")
        text = export_catalog(name)
        exported, original = parse_catalog(text), parse_catalog((CATALOGS / f"{name}.toml").read_text())
        assert exported.plans == original.plans
        assert exported.packages == original.packages
        assert load_catalog(exported, "command").archived == 0
        assert export_catalog(name) == text

    def test_quotes_and_digits_survive(self, app: Flask) -> None:
        text = SMALL.replace('name = "One"', 'name = "One \\"big\\" \\\\ \\u00e9"')
        wallet = '\n[[credit_types]]\ncode = "sms"\nname = "SMS"\nscale = 4\nmoney = true\n'
        load(text.replace("credits = 100", 'credits = "0.0125"\ncredit_type = "sms"') + wallet)
        exported = parse_catalog(export_catalog("small"))
        assert exported.packages[0].name == 'One "big" \\ é'
        assert exported.packages[0].credits == "0.0125"

    def test_an_unknown_catalogue_is_not_found(self, app: Flask) -> None:
        with pytest.raises(NotFound):
            export_catalog("none")
