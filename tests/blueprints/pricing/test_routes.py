"""The public prices."""

from pathlib import Path

import pytest
from flask import Flask

from services.catalog.presets import load_preset
from tests.blueprints.household import household
from tests.visitor import Visitor

CATALOGS = Path(__file__).resolve().parents[3] / "catalogs"


@pytest.fixture
def sold(app: Flask) -> Flask:
    """An instance with two catalogues; ``studio`` came first."""
    for name in ("studio", "devtools"):
        load_preset(CATALOGS / f"{name}.toml")
    return app


def test_anyone_sees_the_plans_of_the_default_catalogue(sold: Flask) -> None:
    answer = Visitor(sold).get("/pricing")
    assert answer.status_code == 200
    assert "$29.99" in answer.text and "1,000 credits a month" in answer.text
    assert 'href="/sign-in"' in answer.text


def test_catalogue_has_an_address_of_its_own(sold: Flask) -> None:
    text = Visitor(sold).get("/pricing/devtools").text
    assert "Enterprise" in text and "$29.99" not in text


@pytest.mark.parametrize("name", ["nothing", "%00", "x" * 300, "Studio'"])
def test_catalogue_that_is_not_there_is_404(sold: Flask, name: str) -> None:
    assert Visitor(sold).get(f"/pricing/{name}").status_code == 404


def test_instance_without_a_catalogue_has_an_empty_page(app: Flask) -> None:
    answer = Visitor(app).get("/pricing")
    assert answer.status_code == 200 and "no plans on offer" in answer.text


def test_whoever_is_signed_in_finds_the_way_back(sold: Flask) -> None:
    assert "Your account" in household(sold).as_("viewer").get("/pricing").text
