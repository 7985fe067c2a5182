"""Start: the answer first, the fields that it needs below it, and a chart that needs no metric."""

import json

import pytest

from llmrec_core.reading.limits import Limits
from llmrec_core.reading.pays import Pair
from llmrec_core.reading.question import Question
from pages.answer import start_chart
from tests.pages.test_pages import unescaped
from tests.reading.rows import PROTOCOL, figure_changed, make, people


def everything(element) -> list:
    """All elements of a page in the order in which they are read."""
    children = getattr(element, "children", None)
    if not children:
        return [element]
    return [one for child in children.values() for one in everything(child)]


def place(app, kind: str, holds: str) -> int:
    for number, one in enumerate(everything(app.main)):
        text = getattr(one, "key", None) if kind == "text_input" else getattr(one, "value", "")
        if one.type == kind and holds in str(text).replace("\\", ""):
            return number
    raise AssertionError((kind, holds))


def test_the_answer_and_its_sentences_stand_above_the_fields(open_page):
    app = open_page("answer/start.py")
    order = [
        place(app, "caption", "One sentence for your traffic and limits, and what to do next."),
        place(app, "markdown", "Not yet"),
        place(app, "markdown", "find their film in the top 10"),
        place(app, "markdown", "Where a language model does better"),
        place(app, "markdown", "Tried: 2 language models, the largest SmolLM2"),
        place(app, "caption", "Exactly"),
        place(app, "text_input", "requests"),
        place(app, "caption", "Cheapest sensible"),
    ]
    assert order == sorted(order)


def test_a_value_typed_below_reaches_the_answer_above_in_the_same_run(open_page):
    app = open_page("answer/start.py")
    assert "10.0 M requests a month" in unescaped(app)
    app.text_input(key="requests").set_value("20").run()
    assert "20.0 M requests a month" in unescaped(app)
    app.text_input(key="p95").set_value("0.01").run()
    shown = unescaped(app)
    assert "## No\n" in shown and "breaks a limit" in shown


def test_the_chart_stands_with_the_answer_and_says_the_same(open_page):
    app = open_page("answer/start.py")
    (chart,) = app.get("plotly_chart")
    assert json.loads(chart.proto.spec)["layout"]["height"] == start_chart.HEIGHT
    ticks = json.loads(chart.proto.spec)["layout"]["yaxis"]["ticktext"]
    assert ticks[0].startswith("SASRec<br>") and ticks[1].startswith("Text-SASRec")
    assert "of 100 people" in ticks[0] and "per million" in ticks[0]
    assert ticks[2].startswith("Difference<br>")
    assert "it crosses the dotted line, so the two cannot be told apart" in unescaped(app)


def pair(mine, theirs) -> Pair:
    classical = make("EASE", hits=0.5, per_s=100)
    language = make("<b>LM</b>", "cross-encoder", "minilm-l6", hits=0.7, per_s=1)
    users = {"EASE": people(theirs), "<b>LM</b>": people(mine)}
    return Pair(language, classical, Question("ndcg@10", PROTOCOL, users), users, Limits(), 0.001)


def test_the_chart_draws_both_rows_their_intervals_and_the_difference():
    found = pair(lambda user: float(user < 70), lambda user: float(user < 50))
    chart = start_chart.figure(found, "film")
    bars, difference = chart.data[:2], chart.data[2]
    assert [bar.x[0] for bar in bars] == [50, pytest.approx(70)]
    assert [bar.error_x.array[0] for bar in bars] == [pytest.approx(5)] * 2
    # drawn from the end of the bar without a language model: 50 + 20 more of 100
    assert difference.x[0] == pytest.approx(70)
    assert difference.x[0] - difference.error_x.arrayminus[0] > 50, "the interval is above the line"
    # 0.36 $ an hour ÷ (1 request a second × 3600 × half of the time) × a million
    assert (
        chart.layout.yaxis.ticktext[1]
        == "&lt;b&gt;LM&lt;/b&gt;<br>70 of 100 people<br>$200.00 per million"
    )
    assert "it does not cross the dotted line, so the two differ" in start_chart.caption(found)
    assert start_chart.alt(found).startswith(
        "EASE: 50 of 100 people, $2.00 per million; <b>LM</b>: 70 of 100 people, $200.00 per million; "
        "difference +20.0 (+"
    )


def test_a_row_without_hits_is_not_drawn_and_equal_rows_are_called_the_same():
    same = pair(0.5, 0.5)
    assert "the same for every user" in start_chart.figure(same, "film").layout.yaxis.ticktext[2]
    unknown = figure_changed(same.language, "recall@10", value=None, reason="not asked")
    nothing = Pair(unknown, *[getattr(same, name) for name in list(Pair.__annotations__)[1:]])
    assert start_chart.figure(nothing, "film") is None
