"""The row to take within limits: the cheapest that cannot be told from the best, and why not another."""

from dataclasses import replace

import pytest

from llmrec_core.reading.bills import monthly
from llmrec_core.reading.choice import choose, failing
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.people import of_mapping
from llmrec_core.reading.pricing import AS_RECORDED, Pricing
from llmrec_core.reading.question import Question
from llmrec_core.reading.report import needs_words
from llmrec_core.reading.requirements import Requirements
from llmrec_core.reading.verdict import Traffic
from llmrec_core.types import Measurement
from tests.reading.rows import PROTOCOL, USERS, make, mixed, people, split


def ask(users=None, pricing=AS_RECORDED):
    return Question("ndcg@10", PROTOCOL, users or {}, pricing)


def test_the_choice_takes_the_cheapest_that_cannot_be_told_from_the_best():
    cheap, dear = make("cheap", ndcg=0.29, per_s=100), make("dear", ndcg=0.3, per_s=1)
    found = choose([dear, cheap], Limits(), ask({"cheap": split(0.29), "dear": mixed(0.3)}))
    assert found.row is cheap
    assert "not distinguishable from dear" in found.sentence
    assert "100 times as much" in found.why_not


def test_the_choice_names_the_limit_that_the_next_best_breaks():
    fast, slow = make("fast", ndcg=0.2, p95=0.01), make("slow", ndcg=0.4, p95=2.0)
    found = choose([fast, slow], Limits(p95_s=0.1), ask())
    assert found.row is fast
    assert found.why_not == "The next best, slow, fails: its p95 of 2.00 s is above 100 ms."
    nothing = choose([fast, slow], Limits(usd_per_million=1.0), ask())
    assert nothing.row is None
    assert "Nothing measured keeps these limits" in nothing.sentence


def test_a_share_of_the_best_takes_the_cheapest_that_reaches_it():
    poor, cheap = make("poor", ndcg=0.2, per_s=1000), make("cheap", ndcg=0.29, per_s=100)
    best = make("best", ndcg=0.3, per_s=1, p95=2.0)
    better = people(lambda user: 0.6 + 0.1 * (user % 2))
    users = {"poor": people(0.2), "cheap": people(0.29), "best": better}
    rows = [poor, cheap, best]
    assert choose(rows, Limits(), ask(users)).row is best
    found = choose(rows, Limits(share_of_best=0.95), ask(users))
    assert found.row is cheap
    assert (
        "cheapest that reaches 95 % of the best, best (0.300): it reaches 96.7 %" in found.sentence
    )
    assert found.why_not.startswith("The next best, best, ranks better by 0.360 (0.")
    assert found.why_not.endswith(", paired over 100 users) and costs 100 times as much.")
    assert choose(rows, Limits(share_of_best=0.5), ask(users)).row is poor
    assert "at least 95 % of the best quality" in needs_words(Traffic(share_of_best=0.95))


def test_the_best_counts_for_the_share_whatever_it_costs():
    cheap, best = make("cheap", ndcg=0.2, p95=0.01), make("best", ndcg=0.4, p95=2.0)
    limits, question = Limits(p95_s=0.1, share_of_best=0.99), ask()
    found = choose([cheap, best], limits, question)
    assert found.row is None
    # a faster machine helps the best row and cannot make the cheap one better
    assert found.why_not == "The closest, best, fails: its p95 of 2.00 s is above 100 ms."
    assert failing(found, [cheap, best], limits, question) == [best]
    assert Requirements(limits, question, best).broken(cheap) == [
        "its NDCG@10 of 0.200 is 50 % of the best, below 99 %"
    ]


def test_a_price_limit_below_a_cent_is_written_out():
    # 0.36 $ ÷ (200,000 requests a second × 3600 × half of the time)
    row = make("row", per_s=200_000)
    found = choose([row], Limits(usd_per_million=0.0004), ask())
    assert found.why_not == ("The closest, row, fails: its $0.001 per million is above $0.0004.")
    assert "at most $0.002 per million" in needs_words(Traffic(usd_per_million=0.002))


def test_four_people_give_no_certainty():
    good, bad = make("good", ndcg=0.9), make("bad", ndcg=0.1)
    users = {
        "good": of_mapping(dict.fromkeys(range(4), 0.9)),
        "bad": of_mapping(dict.fromkeys(range(4), 0.1)),
    }
    found = choose([good, bad], Limits(), ask(users))
    assert "fewer than 20 people" in found.why_not
    assert "ranks worse" not in found.why_not


def test_a_row_of_other_data_is_neither_chosen_nor_the_next_best():
    here, next_best = make("here", ndcg=0.3), make("next", ndcg=0.2)
    other = make("elsewhere", ndcg=0.9)
    other = replace(other, spec=replace(other.spec, data=replace(other.spec.data, name="books")))
    found = choose([here, next_best, other], Limits(), ask())
    assert found.row is here
    assert found.next_best is next_best


def test_a_cascade_whose_language_model_has_no_say_is_not_the_runner_up():
    first, third = make("first", ndcg=0.5), make("third", ndcg=0.1)
    twin = make("twin", "cascade", "minilm-l6", ndcg=0.5, per_s=1)
    twin = replace(twin, documents={**twin.documents, "model": {"blend": 0.0}})
    users = {"first": people(0.5), "twin": people(0.5), "third": split(0.1)}
    found = choose([first, twin, third], Limits(), ask(users))
    assert (found.row, found.next_best) == (first, third)


def test_the_bill_is_of_whole_machines_with_a_spare_and_a_limit_of_it_counts():
    row = make("row", per_s=10)
    # 1e6 requests a month are 0.4 a second, twice that in the busiest hour: one machine and a spare,
    # 2 × 0.36 $ × 730.5 hours = 526 $
    assert 500 < monthly(row, 1e6, AS_RECORDED).value < 550
    assert monthly(row, 1e6, Pricing(usd_per_hour=0.72)).value == (
        2 * monthly(row, 1e6, AS_RECORDED).value
    )
    found = choose([row], Limits(usd_per_month=100.0, requests_per_month=1e6), ask())
    assert found.row is None
    assert "a month is above $100.00" in found.why_not


def test_people_of_two_slices_are_not_mixed():
    a, b = make("a", ndcg=0.3), make("b", ndcg=0.2)
    users = {"a": people(lambda user: float(user < 50)), "b": people(0.5)}
    question = replace(ask(users), only=list(range(50, 100)))
    assert question.difference(a, b).mean == -0.5
    assert question.difference(a, b).n == len(USERS) // 2


@pytest.mark.parametrize(("asked", "advice"), [(19, False), (20, True)])
def test_a_slice_of_few_people_gets_no_advice(asked, advice):
    good, bad = (
        replace(
            row,
            figures=(
                *row.figures,
                Measurement("ndcg@10", value, "1", 0.1, 0.5, asked, "cold items", PROTOCOL),
            ),
        )
        for row, value in ((make("good"), 0.4), (make("bad"), 0.2))
    )
    users = {"good": people(0.4), "bad": people(0.2)}
    few = Question("ndcg@10", PROTOCOL, users, slice="cold items", only=range(asked))
    found = choose([good, bad], Limits(), few)
    assert found.sentence.startswith("Take good") == advice
    if not advice:
        assert found.row is None and found.next_best is None
        assert found.sentence == ("No advice for cold items: 19 people were asked, fewer than 20.")
        assert failing(found, [good, bad], Limits(), few) == [], "no machine gives more people"
