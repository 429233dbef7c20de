"""The spending page: caps that owners set, meters that everybody sees."""

import pytest
from sqlalchemy import select

from extensions import db
from models.audit import AuditEvent
from services.ledger.debits import Spend, spend_credits
from services.ledger.spending_caps import set_spending_cap, spending_caps
from tests.blueprints.household import Household
from tests.visitor import fresh

PAGE = "/home/acme/billing/spending"
SET = "/home/acme/billing/spending-caps"


def caps(home: Household) -> list[tuple[str, int]]:
    fresh()
    return [(cap.credit_type, cap.cap) for cap in spending_caps(home.account_id)]


class TestCaps:
    def test_an_owner_sets_and_takes_away(self, home: Household) -> None:
        owner = home.as_("owner")
        assert "No spending cap is set." in owner.get("/home/acme/billing").text
        answer = owner.post(SET, {"cap-credits": "200"})
        assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
        assert caps(home) == [("credits", 200)]
        assert 'value="200"' in owner.get(PAGE).text
        owner.post(SET, {"cap-credits": ""})
        assert caps(home) == []
        assert db.session.scalars(select(AuditEvent.action)).all().count("spending_cap.set") == 2

    def test_everybody_sees_how_far_it_is(self, home: Household) -> None:
        home.grant(500)
        set_spending_cap(home.account_id, "credits", 200, "user:1")
        spend_credits(Spend(account_id=home.account_id, credit_type="credits", amount=170, actor="key:1"))
        for path in (PAGE, "/home/acme/billing"):
            words = " ".join(home.as_("viewer").get(path).text.split())
            assert "170 of 200" in words and "Over 80%" in words and "30 may still be spent" in words

    @pytest.mark.parametrize("text", ["0", "-1", "abc", "1.5", "NaN", "1e400", "9" * 30])
    def test_a_wrong_number_changes_nothing_and_is_shown_again(self, home: Household, text: str) -> None:
        set_spending_cap(home.account_id, "credits", 200, "user:1")
        answer = home.as_("owner").post(SET, {"cap-credits": text})
        assert answer.status_code == 422
        assert "Credits:" in answer.text and f'value="{text}"' in answer.text
        assert caps(home) == [("credits", 200)]

    @pytest.mark.parametrize("who", ["viewer", "member", "stranger"])
    def test_others_may_not_set_it(self, home: Household, who: str) -> None:
        browser = home.as_(who)
        assert browser.post(SET, {"cap-credits": "5"}).status_code in (403, 404)
        assert caps(home) == []
        if who != "stranger":
            assert 'name="cap-credits"' not in browser.get(PAGE).text
