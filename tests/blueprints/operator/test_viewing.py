"""An operator sees an account as its people do, and changes nothing by it."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from extensions import db
from models.accounts import Membership
from tests.blueprints.operator.test_account import lines
from tests.conftest import make_account
from tests.visitor import Visitor, fresh

HOME = "/home/acme"
PAGE = "/operator/accounts/acme"


@pytest.fixture(autouse=True)
def _acme(account_id: int) -> None:
    """There is the account."""


def members() -> int:
    fresh()
    return db.session.scalar(select(func.count()).select_from(Membership)) or 0


def view(operator: Visitor, role: str) -> None:
    answer = operator.post(PAGE + "/view-as", {"role": role})
    assert (answer.status_code, answer.headers["Location"]) == (303, HOME + "/overview")


class TestViewing:
    def test_it_shows_what_the_role_sees_under_a_banner(
        self, operator: Visitor, actions: Callable[[], list[str]]
    ) -> None:
        view(operator, "viewer")
        page = operator.get(HOME + "/overview").text
        assert "as a viewer of it does" in page
        assert f'href="{HOME}/keys"' not in page and 'href="/operator"' not in page
        assert operator.get(HOME + "/keys").status_code == 403
        assert actions()[-1] == "account.viewed_as"

    def test_an_owners_pages_open_but_nothing_can_be_changed(self, operator: Visitor) -> None:
        view(operator, "owner")
        assert operator.get(HOME + "/keys").status_code == 200
        before = members()
        answer = operator.post(HOME + "/members/invite", {"email": "eve@example.com", "role": "owner"})
        assert answer.status_code == 403 and "stop viewing" in answer.text
        assert members() == before

    def test_another_account_is_seen_as_an_operator(self, operator: Visitor) -> None:
        make_account("other")
        view(operator, "viewer")
        page = operator.get("/home/other/keys")
        assert page.status_code == 200 and "Stop viewing" not in page.text

    def test_stopping_leads_back_to_the_console(self, operator: Visitor) -> None:
        view(operator, "viewer")
        answer = operator.post("/operator/stop-viewing")
        assert answer.headers["Location"] == PAGE
        assert operator.get(HOME + "/keys").status_code == 200
        assert operator.post("/operator/stop-viewing").headers["Location"] == "/operator/accounts"

    def test_the_console_itself_still_works(self, operator: Visitor) -> None:
        view(operator, "viewer")
        assert operator.get(PAGE).status_code == 200
        assert lines() == []

    @pytest.mark.parametrize("role", ["", "root", "Owner"])
    def test_a_role_that_is_none_is_refused(
        self, operator: Visitor, role: str, actions: Callable[[], list[str]]
    ) -> None:
        assert operator.post(PAGE + "/view-as", {"role": role}).headers["Location"] == PAGE
        assert "Stop viewing" not in operator.get(HOME + "/overview").text
        assert "account.viewed_as" not in actions()

    def test_nobody_else_may(self, owner: Visitor, actions: Callable[[], list[str]]) -> None:
        assert owner.post(PAGE + "/view-as", {"role": "viewer"}).status_code == 404
        assert owner.post("/operator/stop-viewing").status_code == 404
        assert "account.viewed_as" not in actions()
