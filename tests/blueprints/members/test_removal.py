"""Taking somebody out of an account asks first."""

from flask import Flask
from sqlalchemy import select

from extensions import db
from models.accounts import Membership
from tests.conftest import make_account
from tests.visitor import fresh, make_person, signed_in


def test_removal_names_what_is_lost_and_works_without_javascript(app: Flask) -> None:
    account_id = make_account("acme")
    make_person("ann@example.com", account_id)
    bob_id = make_person("bob@example.com", account_id, "member")
    member = db.session.scalars(select(Membership.id).where(Membership.user_id == bob_id)).one()
    ann = signed_in(app, "ann@example.com")
    address = f"/home/acme/members?confirm=remove-{member}"
    assert f'href="{address}"' in ann.get("/home/acme/members").text
    asked = ann.get(address).text
    assert f'action="/home/acme/members/{member}/remove"' in asked and "open data-open" in asked
    assert "bob@example.com loses access to Acme at once" in asked
    fresh()
    assert db.session.get(Membership, member) is not None
    assert ann.post(f"/home/acme/members/{member}/remove").status_code == 303
    fresh()
    assert db.session.get(Membership, member) is None
