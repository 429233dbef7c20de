"""An account with people in each role and a history, for tests of its pages."""

from dataclasses import dataclass

from flask import Flask

from services.ledger.debits import Spend, spend_credits
from services.ledger.grants import Incoming, grant_credits
from tests.conftest import make_account
from tests.visitor import Visitor, make_person, signed_in

ROLES = ("owner", "member", "viewer")


@dataclass
class Household:
    """The account ``acme`` and who may open it; ``stranger`` is at home elsewhere."""

    app: Flask
    account_id: int
    slug: str = "acme"

    def as_(self, who: str) -> Visitor:
        """A browser in which owner, member, viewer or stranger is signed in."""
        return signed_in(self.app, f"{who}@people.example")

    def grant(self, amount: int, source: str = "bonus", **values: object) -> int:
        """Credits in; the line's id."""
        return grant_credits(
            Incoming(account_id=self.account_id, credit_type="credits", amount=amount, source=source,
                     actor="command", **values)  # type: ignore[arg-type]
        ).transaction_id  # fmt: skip

    def spend(self, amount: int, **values: object) -> int:
        """Credits out; the line's id."""
        return spend_credits(
            Spend(account_id=self.account_id, credit_type="credits", amount=amount, actor="key:1",
                  **values)  # type: ignore[arg-type]
        ).transaction_id  # fmt: skip


def household(app: Flask, account_id: int | None = None) -> Household:
    """People around an account, a new one where none is named."""
    account_id = account_id if account_id is not None else make_account("acme")
    for role in ROLES:
        make_person(f"{role}@people.example", account_id, role)
    make_person("stranger@people.example", make_account("elsewhere"), "owner")
    return Household(app, account_id)
