"""Limits typed as a sentence on Decide fill the fields, and a sentence that is not understood keeps them."""

from tests.pages.test_one_answer import taken
from tests.pages.test_pages import unescaped

FIELDS = ("p95", "per_million", "budget", "share")


def held(app) -> list[str]:
    return [app.text_input(key=key).value for key in FIELDS]


def test_a_sentence_fills_the_fields_and_what_it_does_not_name_is_free(open_page):
    app = open_page("answer/decide.py", budget="100000")
    sentence = app.text_input(key="decide_sentence")
    assert sentence.value == "≤ $100000 a month"
    sentence.set_value("p95 under 1,1 s, at least 50 % of the best").run()
    assert held(app) == ["1100", "", "", "50"]
    assert app.query_params["p95"] == "1100"
    assert "budget" not in app.query_params
    assert app.text_input(key="decide_sentence").value == "p95 ≤ 1100 ms, at least 50 % of the best"
    assert taken(app)
    assert "is the cheapest that reaches 50 % of the best" in unescaped(app)


def test_a_field_writes_the_sentence(open_page):
    app = open_page("answer/decide.py")
    assert app.text_input(key="decide_sentence").value == ""
    app.text_input(key="per_million").set_value("0.02").run()
    assert app.text_input(key="decide_sentence").value == "≤ $0.02 per million"


def test_a_sentence_that_is_not_understood_changes_nothing_and_stays_to_be_mended(open_page):
    app = open_page("answer/decide.py", p95="20")
    app.text_input(key="decide_sentence").set_value("p99 ≤ 50 ms").run()
    assert held(app) == ["20", "", "", ""]
    assert app.text_input(key="decide_sentence").value == "p99 ≤ 50 ms"
    assert "not understood" in unescaped(app)
