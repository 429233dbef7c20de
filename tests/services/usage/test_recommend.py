"""Which plan fits better: pure calculation."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.catalog.packages import PackageView
from services.catalog.plans import LimitView, PlanView
from services.usage.recommend import Month, Recommendation, annual_saving_cents, recommended_plan


def plan(code: str, cents: int | None, included: int | None, annual: int | None = None) -> PlanView:
    limit = LimitView("calls", "API calls", "counter", included, "block", None, None, 0)
    return PlanView(
        1, code, code.title(), "", cents, annual, "usd", 0, "credits", 0, False, "never", (), code == "free",
        False, (limit,), None, None,
    )  # fmt: skip


def package(credits: int, cents: int, *, locked: bool = False) -> PackageView:
    return PackageView(
        1, f"p{credits}", f"{credits} credits", credits, 1, "credits", 0, False, cents, "usd", "price", 0, False,
        locked, None, 0,
    )  # fmt: skip


def bringing(code: str, cents: int, credits: int) -> PlanView:
    return replace(plan(code, cents, None), credits_per_month=credits, limits=())


def taking(code: str, cents: int, included: int) -> PlanView:
    """A plan that takes two credits for each call beyond its limit."""
    whole = plan(code, cents, included)
    return replace(
        whole,
        limits=(replace(whole.limits[0], over_limit="credits", credits_per_unit=2, credit_type="credits"),),
    )


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


class TestPackages:
    def test_beyond_a_limit_that_takes_credits_a_package_may_be_less(self) -> None:
        plans, packages = (
            [taking("pro", 1900, 100), taking("team", 7900, 1000)],
            [package(100, 500), package(1000, 4000)],
        )
        found = recommended_plan(plans, "pro", {"calls": 140}, packages=packages)
        assert found is not None
        assert (found.reason, found.package, found.plan, found.meter) == (
            "extra_credits",
            "p100",
            "",
            "API calls",
        )
        dearer = recommended_plan(plans, "pro", {"calls": 750}, packages=packages)
        assert dearer is not None and (dearer.reason, dearer.plan) == ("limit_reached", "team")

    def test_a_limit_that_blocks_is_not_bought_over(self) -> None:
        found = recommended_plan(PLANS, "pro", {"calls": 140}, packages=[package(1000, 1)])
        assert found is not None and found.reason == "limit_reached"

    def test_the_largest_plan_has_packages_alone(self) -> None:
        found = recommended_plan(
            [taking("team", 7900, 10)], "team", {"calls": 50}, packages=[package(100, 500)]
        )
        assert found is not None and found.package == "p100"
        locked = recommended_plan(
            [taking("team", 7900, 10)], "team", {"calls": 50}, packages=[package(100, 500, locked=True)]
        )
        assert locked is None

    def test_credits_that_run_out_call_for_what_costs_less_in_all(self) -> None:
        plans = [bringing("basic", 999, 0), bringing("professional", 2999, 1000)]
        dear, cheap = [package(500, 2500)], [package(500, 500)]

        def reason(
            credits: int, packages: list[PackageView], *, is_short: bool = True
        ) -> tuple[str, str] | None:
            month = Month({}, credits, is_short=is_short)
            found = recommended_plan(plans, "basic", {}, month=month, packages=packages)
            return None if found is None else (found.reason, found.plan or found.package)

        assert reason(900, cheap) == ("extra_credits", "p500")
        assert reason(900, dear) == ("more_credits", "professional")
        assert reason(900, []) == ("more_credits", "professional")
        assert reason(900, dear, is_short=False) is None

    def test_a_smaller_plan_must_cost_less_with_the_packages_it_takes(self) -> None:
        plans = [bringing("basic", 999, 0), bringing("professional", 2999, 1000)]

        def smaller(credits: int) -> Recommendation | None:
            month = Month({}, credits)
            return recommended_plan(
                plans, "professional", {}, month=month, packages=[package(500, 1500)], may_shrink=True
            )

        fits = smaller(400)
        assert fits is not None and (fits.reason, fits.plan) == ("smaller_fits", "basic")
        assert smaller(900) is None


def test_a_year_saves_what_twelve_months_cost_more() -> None:
    assert [annual_saving_cents(each) for each in PLANS] == [0, 3800, 0, 0]
