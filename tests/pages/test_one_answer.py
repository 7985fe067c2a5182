"""What a reader types once holds on Start, Decide, the report and Plan, and all four then say the same."""

import re

import pytest

from llmrec_core.costmodel.facts.prices import DAYS_PER_MONTH
from pages.answer.plan_fields import readable
from tests.pages.test_pages import ROOT, unescaped

FITS_NOTHING = {"p95": "0.01"}
TYPED = (
    {},
    {"p95": "1.1"},
    {"budget": "100"},
    {"per_million": "0.02"},
    {"share": "80"},
    FITS_NOTHING,
)


def taken(app) -> str:
    """The row a page takes; empty where nothing measured keeps the limits."""
    shown = unescaped(app)
    found = re.search(r"Take (.+?): NDCG", shown)
    if found is None:
        assert "Nothing measured keeps these limits" in shown
    return found.group(1) if found else ""


def taken_on_start(app) -> str:
    captions = [one.value.replace("\\", "") for one in app.main.get("caption")]
    names = [one.value.replace("\\", "") for one in app.main.get("markdown")]
    if not any("The one to take" in title for title in captions):
        assert "Nothing measured keeps these limits" in unescaped(app)
        return ""
    place = [title for title in captions if "Cheapest sensible" in title or "The one" in title]
    heads = [name.removeprefix("## ") for name in names if name.startswith("## ")]
    # the first large line is the answer, then one a card
    return heads[1 + next(n for n, title in enumerate(place) if "The one to take" in title)]


@pytest.mark.parametrize("typed", TYPED, ids=str)
def test_start_decide_and_the_report_take_the_same_row(open_page, typed):
    decided = taken(open_page("answer/decide.py", **typed))
    assert bool(decided) == (typed not in (FITS_NOTHING, {"budget": "100"}))
    assert taken(open_page("answer/report.py", **typed)) == decided
    assert taken_on_start(open_page("answer/start.py", **typed)) == decided


def test_no_limit_holds_until_it_is_typed(open_page):
    app = open_page("answer/start.py")
    assert [app.text_input(key=key).value for key in ("p95", "budget", "per_million")] == [""] * 3
    assert "Nothing measured keeps" not in unescaped(open_page("answer/report.py"))


def test_a_limit_typed_on_start_holds_on_decide_and_the_report(open_page):
    app = open_page("answer/start.py")
    app.text_input(key="p95").set_value("1.1").run()
    for page in ("decide", "report"):
        app.switch_page(str(ROOT / "pages" / "answer" / f"{page}.py")).run()
        assert app.text_input(key="p95").value == "1.1"
        assert taken(app) == "EASE"


def test_plan_starts_from_what_was_typed_and_lets_it_be_changed(open_page):
    app = open_page("answer/start.py")
    app.text_input(key="requests").set_value("3").run()
    app.text_input(key="p95").set_value("1.1").run()
    app.text_input(key="budget").set_value("1").run()
    app.text_input(key="budget").set_value("").run()
    app.switch_page(str(ROOT / "pages" / "answer" / "plan.py")).run()
    assert not app.exception
    assert float(app.text_input(key="plan_daily").value) == readable(3e6 / DAYS_PER_MONTH)
    assert float(app.text_input(key="plan_p95").value) == pytest.approx(1.1)
    chosen = app.selectbox(key="plan_model")
    assert chosen.options[chosen.index] == "EASE", "as Decide takes within 1.1 ms"
    assert app.query_params["requests"] == "3", "a link tells the same"
    app.text_input(key="plan_daily").set_value("5000000").run()
    assert "5.00 M requests a day at p95 ≤ 1.1 ms" in unescaped(app)
    app.switch_page(str(ROOT / "pages" / "answer" / "start.py")).run()
    assert app.text_input(key="requests").value == "3"


def test_plan_has_no_limit_until_one_is_typed(open_page):
    app = open_page("answer/plan.py")
    assert app.text_input(key="plan_p95").value == ""
    assert float(app.text_input(key="plan_daily").value) == readable(1e7 / DAYS_PER_MONTH)
    shown = unescaped(app)
    assert "329 k requests a day" in shown and "at p95 ≤" not in shown
    assert "Starts from 10.0 M requests a month and no latency limit." in shown


def test_plan_reads_a_month_of_the_address_as_days_seconds_and_users(open_page):
    typed = {"plan_model": "minilm-l6-h384", "requests": "30"}
    by_second = open_page("answer/plan.py", plan_way="second", **typed)
    daily = 30e6 / DAYS_PER_MONTH
    assert float(by_second.text_input(key="plan_rate").value) == readable(daily / 86_400)
    users = open_page("answer/plan.py", plan_way="users", **typed)
    assert float(users.text_input(key="plan_users").value) == readable(daily)


@pytest.mark.parametrize(("budget", "said"), [("1", "is above the budget"), ("1e9", "keeps the")])
def test_plan_says_whether_the_cheapest_plan_keeps_the_budget(open_page, budget, said):
    shown = unescaped(open_page("answer/plan.py", plan_model="minilm-l6-h384", budget=budget))
    assert said in shown


def test_plan_says_that_nothing_keeps_the_limits_and_plans_for_the_closest(open_page):
    app = open_page("answer/plan.py", **FITS_NOTHING)
    shown = unescaped(app)
    assert "Nothing measured keeps these limits. The closest, Popularity, fails" in shown
    chosen = app.selectbox(key="plan_model")
    assert chosen.options[chosen.index] == "Popularity"
