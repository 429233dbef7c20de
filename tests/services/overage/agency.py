"""An agency with clients on the ``agency`` catalogue."""

from dataclasses import dataclass

from sqlalchemy import select

from extensions import db
from models.catalog import Catalog
from services.catalog.presets import load_preset
from services.overage.purchases import OverageReceipt, buy_overage, overage_offer
from tests.conftest import make_account
from tests.shop import CATALOGS


@dataclass
class Agency:
    """An agency and its clients, by their ids."""

    id: int
    clients: list[int]


def make_agency(name: str = "agency", clients: int = 2, time_zone: str = "UTC") -> Agency:
    """An agency with so many clients."""
    catalog_id = db.session.scalar(select(Catalog.id).where(Catalog.code == "agency"))
    if catalog_id is None:
        load_preset(CATALOGS / "agency.toml")
        catalog_id = db.session.scalar(select(Catalog.id).where(Catalog.code == "agency"))
    agency_id = make_account(
        name, kind="agency", catalog_id=catalog_id, email=f"{name}@example.com", time_zone=time_zone
    )
    made = [
        make_account(
            f"{name}-client-{number}", catalog_id=catalog_id, agency_id=agency_id, time_zone=time_zone,
            email=f"{name}-client-{number}@example.com",
        )
        for number in range(1, clients + 1)
    ]  # fmt: skip
    return Agency(agency_id, made)


_forms = iter(range(1, 10**9))


def buy(client_id: int, **quantities: int) -> OverageReceipt:
    """Confirm a purchase at the prices of now, in a form of its own."""
    quote = overage_offer(client_id).quote
    return buy_overage(client_id, quantities, quote, request_key=f"form-{next(_forms)}", actor="user:1")
