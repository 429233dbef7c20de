"""Which plan fits better: pure calculation."""

from hypothesis import given
from hypothesis import strategies as st

from services.catalog.plans import LimitView, PlanView
from services.usage.recommend import annual_saving_cents, recommended_plan


def plan(code: str, cents: int | None, included: int | None, annual: int | None = None) -> PlanView:
    limit = LimitView("calls", "API calls", "counter", included, "block", None, None, 0)
    return PlanView(
        1, code, code.title(), "", cents, annual, "usd", 0, "credits", 0, False, "never", (), code == "free",
        False, (limit,), None, None,
    )  # fmt: skip


PLANS = [
    plan("free", 0, 10),
    plan("pro", 1900, 100, 19000),
    plan("team", 7900, 1000),
    plan("ask", None, None),
]


class TestRecommendedPlan:
    def test_close_to_the_limit_the_next_that_leaves_room(self) -> None:
        found = recommended_plan(PLANS, "free", {"calls": 8})
        assert found is not None
        assert (found.plan, found.reason, found.meter, found.percent) == (
            "pro",
            "limit_close",
            "API calls",
            80,
        )
        assert found.annual_saving_cents == 1900 * 12 - 19000

    def test_beyond_the_limit_of_several(self) -> None:
        found = recommended_plan(PLANS, "free", {"calls": 500})
        assert found is not None and (found.plan, found.reason) == ("team", "limit_reached")

    def test_none_where_it_fits_or_none_is_better(self) -> None:
        assert recommended_plan(PLANS, "pro", {"calls": 79}) is None
        assert recommended_plan(PLANS, "team", {"calls": 5000}) is None
        assert recommended_plan(PLANS, None, {"calls": 5000}) is None
        assert recommended_plan(PLANS, "pro", {"calls": 1}) is None

    def test_a_smaller_one_where_that_is_asked_for(self) -> None:
        found = recommended_plan(PLANS, "team", {"calls": 50}, may_shrink=True)
        assert found is not None and (found.plan, found.reason) == ("pro", "smaller_fits")

    @given(st.integers(0, 3000), st.sampled_from(["free", "pro", "team"]))
    def test_what_is_recommended_holds_what_is_used(self, calls: int, current: str) -> None:
        found = recommended_plan(PLANS, current, {"calls": calls}, may_shrink=True)
        if found is not None:
            chosen = next(each for each in PLANS if each.code == found.plan)
            assert calls * 100 // (chosen.limits[0].included or 1) < 80
            assert found.plan != current and chosen.monthly_price_cents is not None


def test_a_year_saves_what_twelve_months_cost_more() -> None:
    assert [annual_saving_cents(each) for each in PLANS] == [0, 3800, 0, 0]
