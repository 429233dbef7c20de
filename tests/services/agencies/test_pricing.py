"""Prices and costs: whose holds, from when on, and what the history says."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, text

from errors import InvalidRequest
from extensions import db
from models.agencies import CreditPrice
from models.catalog import CreditType
from services.agencies.pricing import (
    OveragePrice,
    Scope,
    costs_of,
    own_prices,
    price_for,
    price_history,
    prices_for,
    set_cost,
    set_price,
)
from services.catalog.exports import export_catalog
from services.catalog.preset_file import parse_catalog
from services.catalog.presets import load_catalog, load_preset
from tests.conftest import make_account
from tests.services.overage.agency import Agency, make_agency
from tests.shop import CATALOGS

NOW = datetime(2027, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def agency(either_app: Flask) -> Iterator[Agency]:
    with time_machine.travel(NOW):  # the clock runs: of two changes the later one holds
        yield make_agency()


def type_id(code: str) -> int:
    return db.session.scalars(select(CreditType.id).where(CreditType.code == code)).one()


def pixel(client_id: int, at: datetime | None = None) -> OveragePrice:
    found = price_for(client_id, type_id("pixel"), at)
    assert found is not None
    return found


class TestWhosePriceHolds:
    def test_the_catalogues_until_somebody_sets_another(self, agency: Agency) -> None:
        found = {price.code: (price.price_cents, price.cost_cents) for price in prices_for(agency.clients[0])}
        assert found == {
            "audience": (2500, 1500), "enrichment": (1500, 900), "pixel": (1000, 600), "custom_model": (5000, 3000)
        }  # fmt: skip
        assert pixel(agency.clients[0]).source == "catalogue"

    def test_the_agencys_for_all_its_clients_and_a_clients_own_before_it(self, agency: Agency) -> None:
        first, second = agency.clients
        set_price(Scope(agency_id=agency.id), "pixel", 1200, actor="user:1")
        set_price(Scope(agency_id=agency.id, client_id=first), "pixel", 1150, actor="user:1")
        assert (pixel(first).price_cents, pixel(first).source) == (1150, "client")
        assert (pixel(second).price_cents, pixel(second).source) == (1200, "agency")
        set_price(Scope(agency_id=agency.id, client_id=first), "pixel", None, actor="user:1")
        assert (pixel(first).price_cents, pixel(first).source) == (1200, "agency")

    def test_another_agencys_says_nothing(self, agency: Agency) -> None:
        other = make_agency("other")
        set_price(Scope(agency_id=other.id), "pixel", 1, actor="user:1")
        assert pixel(agency.clients[0]).price_cents == 1000

    def test_what_has_no_price_is_not_sold(self, agency: Agency) -> None:
        assert price_for(agency.clients[0], type_id("credits")) is None

    def test_a_client_that_left_its_agency_pays_the_catalogues(self, agency: Agency) -> None:
        set_price(Scope(agency_id=agency.id, client_id=agency.clients[0]), "pixel", 1150, actor="user:1")
        db.session.execute(text("UPDATE accounts SET agency_id = NULL WHERE slug = 'agency-client-1'"))
        db.session.commit()
        assert (pixel(agency.clients[0]).price_cents, pixel(agency.clients[0]).cost_cents) == (1000, 600)

    def test_another_currency_buys_nothing(self, agency: Agency) -> None:
        euro = make_account("euro", currency="eur", agency_id=agency.id)
        assert prices_for(euro) == []

    def test_the_cost_of_an_agency_before_the_catalogues(self, agency: Agency) -> None:
        set_cost(Scope(agency_id=agency.id), "pixel", 550, actor="user:1")
        assert (pixel(agency.clients[0]).cost_cents, costs_of(agency.id)[type_id("pixel")]) == (550, 550)
        set_cost(Scope(agency_id=agency.id), "pixel", None, actor="user:1")
        assert pixel(agency.clients[0]).cost_cents == 600


class TestFromWhenOn:
    def test_a_price_of_a_date_holds_from_that_instant(self, agency: Agency) -> None:
        begins = NOW + timedelta(days=22)
        set_price(Scope(agency_id=agency.id), "pixel", 1200, effective_from=begins, actor="user:1")
        assert pixel(agency.clients[0]).price_cents == 1000
        assert pixel(agency.clients[0], begins - timedelta(microseconds=1)).price_cents == 1000
        assert pixel(agency.clients[0], begins).price_cents == 1200

    def test_the_last_word_for_a_moment_holds(self, agency: Agency) -> None:
        begins = NOW + timedelta(days=1)
        for cents in (1200, 1300, 1250):
            set_price(Scope(agency_id=agency.id), "pixel", cents, effective_from=begins, actor="user:1")
        assert pixel(agency.clients[0], begins + timedelta(seconds=1)).price_cents == 1250

    def test_the_past_cannot_be_priced(self, agency: Agency) -> None:
        with pytest.raises(InvalidRequest) as refusal:
            set_price(
                Scope(agency_id=agency.id), "pixel", 1, effective_from=NOW - timedelta(days=1), actor="user:1"
            )
        assert refusal.value.errors[0].field == "effective_from"

    @pytest.mark.parametrize(("code", "cents", "field"), [
        ("pixel", -1, "price_cents"), ("pixel", 10**9 + 1, "price_cents"), ("nothing", 1, "credit_type"),
    ])  # fmt: skip
    def test_what_is_no_price_is_refused_by_name(
        self, agency: Agency, code: str, cents: int, field: str
    ) -> None:
        with pytest.raises(InvalidRequest) as refusal:
            set_price(Scope(agency_id=agency.id), code, cents, actor="user:1")
        assert refusal.value.errors[0].field == field


class TestTheHistory:
    def test_who_when_from_and_to(self, agency: Agency) -> None:
        scope = Scope(agency_id=agency.id, client_id=agency.clients[0])
        set_price(scope, "pixel", 1200, actor="user:1")
        assert set_price(scope, "pixel", 1200, actor="user:2") is None
        set_cost(Scope(agency_id=agency.id), "pixel", 700, actor="user:9")
        set_price(scope, "pixel", 1300, actor="user:2")
        newest, first = price_history(agency.id)
        assert (first.before_cents, first.after_cents, first.cost_cents, first.set_by) == (
            None,
            1200,
            600,
            "user:1",
        )
        assert (newest.before_cents, newest.after_cents, newest.cost_cents) == (1200, 1300, 700)
        assert (newest.client, newest.set_by) == ("agency-client-1", "user:2")
        assert NOW <= first.set_at < newest.set_at

        assert own_prices([scope])[scope] == {type_id("pixel"): 1300}

    @pytest.mark.parametrize("statement", [
        "UPDATE agency_credit_pricing SET price_cents = 1", "DELETE FROM agency_credit_pricing",
        "UPDATE credit_costs SET cost_cents = 1",
    ])  # fmt: skip
    def test_no_row_is_ever_changed(self, agency: Agency, statement: str) -> None:
        with pytest.raises(Exception, match="append-only"):
            db.session.execute(text(statement))
        db.session.rollback()

    def test_two_defaults_of_one_moment_are_impossible(self, agency: Agency) -> None:
        row = {
            "agency_account_id": agency.id, "credit_type_id": type_id("pixel"), "price_cents": 1,
            "effective_from": NOW, "set_at": NOW, "set_by": "test",
        }  # fmt: skip
        db.session.add(CreditPrice(**row))
        db.session.flush()
        db.session.add(CreditPrice(**row))
        with pytest.raises(Exception, match=r"(?i)unique"):
            db.session.flush()
        db.session.rollback()


class TestTheCatalogueFile:
    def test_it_is_written_out_and_loads_to_the_same(self, agency: Agency) -> None:
        written = export_catalog("agency")
        assert written.count("[[overage]]") == 4
        count = len(list(db.session.scalars(select(CreditPrice))))
        load_catalog(parse_catalog(written), "command")
        assert len(list(db.session.scalars(select(CreditPrice)))) == count

    def test_what_it_no_longer_names_is_sold_no_more(self, agency: Agency) -> None:
        with time_machine.travel(NOW + timedelta(days=1), tick=False):
            file = parse_catalog(
                export_catalog("agency").replace("price_cents = 1000", "price_cents = 1100")
            )
            file.overage = [part for part in file.overage if part.credit_type != "audience"]
            load_catalog(file, "command")
        with time_machine.travel(NOW + timedelta(days=2), tick=False):
            found = {price.code: price.price_cents for price in prices_for(agency.clients[0])}
        assert found == {"enrichment": 1500, "pixel": 1100, "custom_model": 5000}

    def test_a_type_named_twice_is_refused(self, agency: Agency) -> None:
        written = export_catalog("agency").replace('credit_type = "audience"', 'credit_type = "pixel"')
        with pytest.raises(InvalidRequest) as refusal:
            parse_catalog(written)
        assert refusal.value.errors[0].field.startswith("overage[")

    def test_loading_twice_is_once(self, agency: Agency) -> None:
        count = len(list(db.session.scalars(select(CreditPrice))))
        load_preset(CATALOGS / "agency.toml")
        assert len(list(db.session.scalars(select(CreditPrice)))) == count
