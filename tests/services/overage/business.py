"""An agency's business: clients with cards who buy now, the jobs, Stripe and the clock."""

from datetime import datetime

import time_machine
from sqlalchemy import select

from extensions import db
from models.accounts import Account
from models.notices import Notice
from models.overage import Charge
from services.billing.purchases import start_card_setup
from services.overage.charges import make_due_charges
from services.overage.charging import charge_due
from services.overage.statements import issue_due_statements
from tests.services.overage.agency import Agency, make_agency
from tests.shop import GOOD, Shop


class Business:
    """An agency, its clients, Stripe and the clock."""

    def __init__(self, shop: Shop, clock: time_machine.Traveller):
        self.shop, self.clock = shop, clock
        self.agency: Agency = make_agency()
        self.client = self.agency.clients[0]
        self._told: set[str] = set()
        self._forms = 0

    def card(self, number: str = GOOD, client: int | None = None) -> None:
        """A client keeps a card."""
        self._forms += 1
        started = start_card_setup(
            client or self.client, request_key=f"card-{self._forms}", actor="user:1",
            payments=self.shop.payments,
        )  # fmt: skip
        self.shop.pay(started.session_id, number, authenticated=True)
        self.hear()

    def hear(self) -> None:
        """Deliver what Stripe has told since the last time."""
        for event in self.shop.events():
            if event["id"] not in self._told:
                self._told.add(event["id"])
                assert self.shop.deliver(event).status_code == 200

    def run(self, moment: datetime | None = None) -> dict[str, int]:
        """The job, at a moment; then what Stripe tells of it."""
        if moment is not None:
            self.clock.move_to(moment)
        make_due_charges()
        counts = charge_due(self.shop.payments)
        self.hear()
        return counts

    def close(self, moment: datetime) -> int:
        """The jobs at the end of a cycle: charges, then statements; how many of these."""
        self.run(moment)
        issued = issue_due_statements()
        charge_due(self.shop.payments)
        self.hear()
        return issued

    def charges(self) -> list[tuple[str, int]]:
        db.session.rollback()
        return [
            (row.status, row.amount_cents) for row in db.session.scalars(select(Charge).order_by(Charge.id))
        ]

    def charge(self) -> Charge:
        db.session.rollback()
        return db.session.scalars(select(Charge).order_by(Charge.id.desc())).first()  # type: ignore[return-value]

    def status(self, account_id: int | None = None) -> str:
        db.session.rollback()
        return db.session.get_one(Account, account_id or self.client).status

    def told(self) -> list[str]:
        db.session.rollback()
        return list(db.session.scalars(select(Notice.kind).order_by(Notice.id)))
