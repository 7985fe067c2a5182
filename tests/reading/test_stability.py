"""How often a choice stays the choice, and what would settle a question."""

import doctest

import numpy as np

from llmrec_core.metrics.seeds import Needed
from llmrec_core.reading import stability
from llmrec_core.reading.choice import choose
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.people import of_mapping
from llmrec_core.reading.question import Question
from tests.reading.rows import PROTOCOL, figure_changed, make


def test_examples_in_the_documentation():
    assert not doctest.testmod(stability).failed


def share(gain):
    """Two rows, the dearer one better by `gain`, over 100 people who differ by 0.3 from row to row."""
    rng = np.random.default_rng(1)
    level = rng.uniform(0.3, 0.6, 100)
    users = {
        "cheap": of_mapping(dict(enumerate(level))),
        "dear": of_mapping(dict(enumerate(np.clip(level + gain + rng.normal(0, 0.3, 100), 0, 1)))),
    }
    means = {name: float(people.means.mean()) for name, people in users.items()}
    rows = [make("cheap", ndcg=means["cheap"], per_s=100), make("dear", ndcg=means["dear"])]
    question = Question("ndcg@10", PROTOCOL, users)
    chosen = choose(rows, Limits(), question).row
    return chosen.name, stability.share_stays(rows, chosen, Limits(), question)


def test_a_clear_choice_stays_and_a_close_one_does_not_always():
    assert share(0.4) == ("dear", 1.0)
    name, close = share(0.0)
    assert name == "cheap"
    assert 0.8 < close <= 1.0
    undecided = min(share(gain)[1] for gain in (0.04, 0.06, 0.08))
    assert undecided < 0.8


def test_a_share_of_the_best_is_resampled_as_it_is_chosen():
    level = np.linspace(0.3, 0.6, 100)
    values = {"cheap": level - 0.1, "dear": level, "best": level + 0.004}
    users = {name: of_mapping(dict(enumerate(each))) for name, each in values.items()}
    per_s = {"cheap": 100, "dear": 10, "best": 1}
    rows = [make(name, ndcg=float(v.mean()), per_s=per_s[name]) for name, v in values.items()]
    question, limits = Question("ndcg@10", PROTOCOL, users), Limits(share_of_best=0.95)
    chosen = choose(rows, limits, question).row
    assert chosen.name == "dear"
    assert stability.share_stays(rows, chosen, limits, question) == 1.0
    near = Limits(share_of_best=float(values["dear"].mean() / values["best"].mean()))
    assert 0.2 < stability.share_stays(rows, chosen, near, question) < 0.8


def test_rows_without_a_price_are_taken_in_their_order():
    level = np.linspace(0.3, 0.6, 100)
    users = {
        name: of_mapping(dict(enumerate(level + more))) for name, more in (("a", 0.1), ("b", 0))
    }
    rows = [
        figure_changed(make(name, ndcg=value), "usd_per_million", value=None, reason="none")
        for name, value in (("a", 0.55), ("b", 0.45))
    ]
    question, limits = Question("ndcg@10", PROTOCOL, users), Limits(share_of_best=0.5)
    assert choose(rows, limits, question).row is rows[0]
    assert stability.share_stays(rows, rows[0], limits, question) == 1.0


def test_without_shared_people_nothing_is_said():
    rows = [make("a"), make("b")]
    question = Question("ndcg@10", PROTOCOL, {})
    assert stability.share_stays(rows, rows[0], Limits(), question) is None


def test_what_would_settle_it_in_words():
    assert stability.settle_words(Needed(1234, None), 200) == (
        "about 1,000 more people would settle it"
    )
    assert stability.settle_words(Needed(None, 7), 200) == ("about 7 seeds of each would settle it")
    assert "no practical number" in stability.settle_words(Needed(10**9, None), 200)
