"""Does the language model pay: the answer, its offers, and the price of an extra hit."""

from dataclasses import replace

import pytest

from llmrec_core.reading import number_format, verdict
from llmrec_core.reading.bills import monthly
from llmrec_core.reading.people import of_mapping
from llmrec_core.reading.pricing import AS_RECORDED
from llmrec_core.reading.turns import new_item_protocols
from llmrec_core.types import Measurement
from tests.reading.rows import PROTOCOL, USERS, figure_changed, make, mixed, people, split


def judge(rows, users, hits=None, traffic=verdict.DEFAULT_TRAFFIC):
    return verdict.judge(rows, "ndcg@10", PROTOCOL, users, hits or users, traffic)


@pytest.mark.parametrize(
    ("language_users", "answer", "headline"),
    [
        (people(0.5), "yes", "Yes"),
        (people(0.1), "no", "No"),
        (mixed(0.21), "not yet", "Not yet: about"),
    ],
)
def test_the_verdict_follows_the_paired_interval(language_users, answer, headline):
    classical, language = make("EASE"), make("LM", "cross-encoder", "minilm-l6", per_s=1)
    users = {"EASE": split(0.2), "LM": language_users}
    found = judge([classical, language], users, traffic=verdict.Traffic(hit_worth_usd=1))
    assert (found.answer, found.headline.startswith(headline)) == (answer, True)
    assert found.headline == headline or answer == "not yet"
    assert not {"better", "paired", "NDCG@10"} & set(found.sentence.split())
    assert "Exactly: the paired NDCG@10 difference of LM and EASE is " in found.exact


def test_the_headline_says_how_many_more_people_would_settle_it():
    classical, language = make("EASE"), make("LM", "cross-encoder", "minilm-l6")
    found = judge([classical, language], {"EASE": split(0.2), "LM": mixed(0.22)})
    # the difference is 0.02 ± 0.213 a person: (2.8 · 0.213 ÷ 0.02)² = 890 people, 790 more
    assert found.headline == "Not yet: about 790 more people would settle it"


def test_the_protocol_stands_in_plain_words():
    found = judge([make("EASE"), make("LM", "cross-encoder", "minilm-l6")], {})
    assert "last item is hidden" in found.protocol
    assert "among 100 items drawn by chance" in found.protocol


def test_too_few_people_are_no_answer():
    few = of_mapping(dict.fromkeys(range(7), 0.9))
    rows = [make("EASE"), make("LM", "cross-encoder", "minilm-l6")]
    found = judge(rows, {"EASE": of_mapping(dict.fromkeys(range(7), 0.1)), "LM": few})
    assert found.answer == "unknown"
    assert "fewer than 20 people" in found.headline


def test_a_cascade_that_changes_nothing_is_called_the_same():
    classical, cascade = make("EASE"), make("cascade", "cascade", "minilm-l6", per_s=1)
    found = judge([classical, cascade], {"EASE": people(0.2), "cascade": people(0.2)})
    assert "the same for every user over 100 people" in found.exact
    assert "+0.0" not in found.exact + found.sentence + found.extra_hit


def test_a_language_model_without_weight_in_the_blend_is_no_language_model():
    silent = make("Silent cascade", "cascade", "minilm-l6", ndcg=0.5)
    silent = replace(silent, documents={**silent.documents, "model": {"blend": 0.0, "layers": 6}})
    reader = make("Reader", "cross-encoder", "minilm-l6", ndcg=0.3)
    cheap = make("Cheap", ndcg=0.4)
    rows = [silent, reader, cheap]
    users = {row.run_id: split(row.figure("ndcg@10").value, 0.01) for row in rows}
    found = judge(rows, users)
    assert found.language.name == "Reader"
    assert "in the top 10 with Reader, 50 with Cheap; " in found.sentence
    assert "Silent cascade, because validation gave its language model no weight" in found.silent
    assert "no weight in the blend" in found.cards[-1].note
    heard = replace(silent, documents={**silent.documents, "model": {"blend": 0.1}})
    assert judge([heard, reader, cheap], users).language.name == "Silent cascade"


def test_an_extra_hit_costs_the_difference_of_the_bills_over_the_extra_hits():
    classical, language = (
        make("EASE", per_s=1000, p95=0.001),
        make("LM", "cross-encoder", "minilm-l6", per_s=5, ndcg=0.4, p95=0.4),
    )
    hits = {"EASE": people(0.0), "LM": people(lambda user: float(user < 20))}
    users = {"EASE": people(0.2), "LM": people(0.4)}
    traffic = verdict.Traffic(1e8, hit_worth_usd=0.001)
    found = judge([classical, language], users, hits, traffic)
    bills = [monthly(row, 1e8, AS_RECORDED).value for row in (language, classical)]
    each = (bills[0] - bills[1]) / (1e8 * 0.2)
    assert bills[0] > 9 * bills[1]
    assert "20.0 extra hits per 100 requests" in found.extra_hit
    assert f"${each:.6f}"[:7] in found.extra_hit
    assert "gains" in found.break_even


# ── quality, limits and worth make one answer ────────────────────────────────────────────────────

CHEAP = make("EASE", per_s=1000, p95=0.001)
DEAR = make("LM", "cross-encoder", "minilm-l6", per_s=5, ndcg=0.4, hits=0.7, p95=0.4)
BETTER = {"EASE": people(0.2), "LM": people(0.4)}
TWENTY_MORE = {"EASE": people(0.0), "LM": people(lambda user: float(user < 20))}
MORE_USD = monthly(DEAR, 1e8, AS_RECORDED).value - monthly(CHEAP, 1e8, AS_RECORDED).value
EVEN = MORE_USD / (1e8 * 0.2)
"""What a hit is worth where the extra hits of 20 in 100 people pay for themselves, at 1e8 requests."""


def of_hits_worth(worth, **limits):
    traffic = verdict.Traffic(1e8, hit_worth_usd=worth, **limits)
    return judge([CHEAP, DEAR], BETTER, TWENTY_MORE, traffic)


@pytest.mark.parametrize(
    ("share", "answer", "headline"),
    # 20 of 100 people find more, 13 to 29 by the exact interval: between 20/29 and 20/13 of the
    # price that is even in the mean, the people asked do not decide
    [(4, "yes", "Yes"), (1.2, "not yet", "Not yet: about "), (0.2, "no", "No"), (0, "no", "No")],
)
def test_a_better_model_pays_where_its_extra_hits_are_worth_more_than_they_cost(
    share, answer, headline
):
    found = of_hits_worth(share * EVEN)
    assert found.answer == answer
    assert found.headline.startswith(headline)
    assert "at 100 M requests a month the extra hits are worth $" in found.sentence
    assert f"cost {number_format.dollars(MORE_USD)}." in found.sentence
    assert ("gains" if share > 1 else "loses") in found.break_even


def test_more_people_settle_whether_the_extra_hits_are_worth_their_cost():
    # 0.2 extra hits a person, 0.2 / 1.2 of them pay for the cost: what stands out from 0 is 0.0333
    # with a deviation of 0.4, so (2.8 · 0.4 ÷ 0.0333)² = 1129 people, about 1000 more than 100
    assert of_hits_worth(1.2 * EVEN).headline == (
        "Not yet: about 1,000 more people would settle it"
    )


def test_more_people_change_nothing_where_the_most_extra_hits_are_worth_less_than_they_cost():
    users = {"EASE": split(0.2), "LM": mixed(0.22)}
    # 0.02 more hits a person, up to 0.02 + 0.042 by the interval; LM costs what 0.2 would be worth
    found = judge([CHEAP, DEAR], users, traffic=verdict.Traffic(1e8, hit_worth_usd=EVEN))
    assert (found.answer, found.headline) == ("no", "No")
    assert "the extra hits are worth $" in found.sentence
    assert found.sentence.endswith(f" at most and cost {number_format.dollars(MORE_USD)}.")
    dearer_hits = verdict.Traffic(1e8, hit_worth_usd=4 * EVEN)
    assert judge([CHEAP, DEAR], users, traffic=dearer_hits).answer == "not yet"


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        ({"p95_s": 0.05}, "LM breaks a limit: its p95 of 400 ms is above 50.0 ms."),
        ({"usd_per_month": 1000.0}, "a month is above $1,000."),
        ({"usd_per_million": 1.0}, "per million is above $1.00."),
    ],
)
def test_a_better_model_that_breaks_a_limit_is_no(limit, why):
    assert of_hits_worth(4 * EVEN).answer == "yes"
    found = of_hits_worth(4 * EVEN, **limit)
    assert (found.answer, found.headline) == ("no", "No")
    assert found.sentence.endswith(why)


def test_a_smaller_language_model_that_keeps_the_limits_answers_for_its_kind():
    small = make("Small LM", "cross-encoder", "minilm-l6", per_s=900, ndcg=0.3, p95=0.002)
    users = BETTER | {"Small LM": people(0.3)}
    hits = TWENTY_MORE | {"Small LM": people(lambda user: float(user < 20))}
    found = judge([CHEAP, DEAR, small], users, hits, verdict.Traffic(1e6, None, 0.05))
    assert (found.answer, found.language.name) == ("yes", "Small LM")
    assert "the language model costs no more" in found.sentence
    assert judge([CHEAP, DEAR, small], users, hits).language.name == "LM"


def test_where_nothing_cheap_keeps_the_limits_the_language_model_that_does_is_taken():
    slow = make("EASE", p95=0.4)
    fast = make("LM", "cross-encoder", "minilm-l6", ndcg=0.1, p95=0.001)
    users = {"EASE": people(0.2), "LM": people(0.1)}
    found = judge([slow, fast], users, traffic=verdict.Traffic(p95_s=0.05))
    assert (found.answer, found.choice.row.name) == ("yes", "LM")
    assert "no recommender without a language model is known to keep" in found.sentence


def test_a_better_model_without_a_price_is_not_yet_answered():
    found = judge([CHEAP, unpriced(DEAR)], BETTER, TWENTY_MORE, verdict.Traffic(1e8))
    assert (found.answer, found.headline) == ("unknown", "Not yet: its price is not known")
    assert "what a month costs with LM is not known: " in found.sentence


def test_where_the_cheap_row_alone_has_no_price_it_is_named():
    found = judge([unpriced(CHEAP), DEAR], BETTER, TWENTY_MORE, verdict.Traffic(1e8))
    assert (found.answer, found.headline) == (
        "unknown",
        "Not yet: the price of EASE is not known",
    )
    assert "what a month costs with EASE is not known: " in found.sentence
    assert found.extra_hit == (
        "The price of an extra hit is unknown: no price per hour is recorded; type one in."
    )


def unpriced(row):
    return figure_changed(row, "usd_per_hour", value=None, reason="nobody sells it")


PRICE_UNKNOWN = "its bill is not measured: no price per hour is recorded; type one in"


def test_a_limit_of_a_model_whose_price_is_unknown_is_neither_kept_nor_broken():
    found = judge([CHEAP, unpriced(DEAR)], BETTER, TWENTY_MORE, verdict.Traffic(1e8, 1e6))
    assert (found.answer, found.headline) == ("unknown", "Not yet: its price is not known")
    assert found.sentence.endswith(f"whether LM keeps the limits is not known: {PRICE_UNKNOWN}.")
    slow = verdict.Traffic(1e8, 1e6, p95_s=0.05)
    assert judge([CHEAP, unpriced(DEAR)], BETTER, TWENTY_MORE, slow).headline == "No", "too slow"
    untimed = figure_changed(DEAR, "latency_p95_s", value=None, reason="not timed")
    found = judge([CHEAP, untimed], BETTER, TWENTY_MORE, verdict.Traffic(1e8, p95_s=0.05))
    assert found.headline == "Not yet: its latency is not known"
    worse = {"EASE": people(0.4), "LM": people(0.2)}
    found = judge([CHEAP, unpriced(DEAR)], worse, worse, verdict.Traffic(1e8, 1e6))
    assert found.headline == "No", "whatever it costs"


def test_a_cheap_row_whose_price_is_unknown_makes_no_yes():
    found = judge([unpriced(CHEAP), DEAR], BETTER, TWENTY_MORE, verdict.Traffic(1e8, 1e6))
    assert (found.answer, found.headline) == (
        "unknown",
        "Not yet: the price of EASE is not known",
    )
    assert found.sentence.endswith(f"whether EASE keeps the limits is not known: {PRICE_UNKNOWN}.")
    untimed = figure_changed(CHEAP, "latency_p95_s", value=None, reason="not timed")
    found = judge([untimed, DEAR], BETTER, TWENTY_MORE, verdict.Traffic(1e8, p95_s=0.5))
    assert found.headline == "Not yet: the latency of EASE is not known"


def test_a_row_not_known_to_break_a_limit_goes_before_one_that_does():
    dear = make("Dearest", "cross-encoder", "minilm-l6", per_s=1, ndcg=0.6, p95=0.4)
    users = BETTER | {"Dearest": people(0.6)}
    found = judge([CHEAP, unpriced(DEAR), dear], users, traffic=verdict.Traffic(1e8, 1e4))
    assert (found.language.name, found.headline) == ("LM", "Not yet: its price is not known")


def test_one_traffic_has_one_price():
    rows = [make("EASE", ndcg=0.4), make("LM", "cross-encoder", "minilm-l6", per_s=1)]
    users = {"EASE": split(0.4), "LM": mixed(0.2)}
    found = judge(rows, users, traffic=verdict.Traffic(3e6))
    for card in found.cards:
        assert card.usd_per_month == monthly(card.row, 3e6, AS_RECORDED)


def test_the_cards_are_cheapest_sensible_the_choice_and_best_and_one_row_has_one_card():
    rows = [
        make("pop", "popularity", ndcg=0.1, per_s=1000),
        make("knn", "item-knn", ndcg=0.3, per_s=100),
        make("LM", "cross-encoder", "minilm-l6", ndcg=0.5, per_s=1, p95=3.0),
    ]
    users = {"pop": people(0.1), "knn": people(0.3), "LM": people(0.5)}
    found = judge(rows, users, traffic=verdict.Traffic(1e6, 1000.0, 1.0))
    assert [(card.title, card.row.name) for card in found.cards] == [
        ("Cheapest sensible · The one to take", "knn"),
        ("Best quality", "LM"),
    ]
    assert found.cards[0].hits.value == pytest.approx(50)


def test_the_card_to_take_is_the_choice_the_cheapest_of_those_that_cannot_be_told_apart():
    rows = [make("dear", ndcg=0.31, per_s=1), make("cheap", ndcg=0.3, per_s=100)]
    found = judge(rows, {"dear": mixed(0.31), "cheap": split(0.3)})
    card = next(card for card in found.cards if "The one to take" in card.title)
    assert card.row is found.choice.row
    assert (card.row.name, card.note.split("; ")[-1]) == (
        "cheap",
        "not distinguishable from dear, which costs more",
    )


def test_a_price_limit_holds_as_on_decide():
    rows = [make("EASE", ndcg=0.4, per_s=1), make("LM", "cross-encoder", "minilm-l6", per_s=0.1)]
    found = judge(rows, {}, traffic=verdict.Traffic(usd_per_million=0.01))
    assert found.choice.row is None
    assert not any("The one to take" in card.title for card in found.cards)


def with_slice(row, people_in_it, value=0.3):
    figure = Measurement("ndcg@10", value, "1", 0.1, 0.5, people_in_it, "cold items", PROTOCOL)
    if not people_in_it:
        figure = replace(figure, value=None, low=None, high=None, reason="nobody")
    return replace(row, figures=(*row.figures, figure))


def test_slices_are_compared_user_by_user_where_their_users_are_known():
    a, b = make("EASE"), make("LM", "cross-encoder", "minilm-l6")
    a, b = with_slice(a, 50), with_slice(b, 50)
    users = {"EASE": people(0.2), "LM": people(lambda user: 0.5 if user < 50 else 0.0)}
    assert "intervals overlap" in judge([a, b], users).turns[0]
    a = replace(a, documents={**a.documents, "slices": {"cold items": list(range(50))}})
    assert "LM leads" in judge([a, b], users).turns[0]


def test_where_a_language_model_does_better_is_said_of_slices_and_of_everybody():
    a, b = make("EASE"), make("LM", "cross-encoder", "minilm-l6", p95=0.4)
    a, b = with_slice(a, 50), with_slice(b, 50)
    a = replace(a, documents={**a.documents, "slices": {"cold items": list(range(50))}})
    cold = {"EASE": people(0.2), "LM": people(lambda user: 0.5 if user < 50 else 0.0)}
    better = "Where a language model does better: "
    assert judge([a, b], cold).ahead == f"{better}cold items (50)."
    all_of_them = {"EASE": people(0.2), "LM": people(0.5)}
    assert judge([a, b], all_of_them).ahead == f"{better}all who were asked (100), cold items (50)."
    slow = judge([a, b], all_of_them, traffic=verdict.Traffic(p95_s=0.05))
    assert slow.ahead == f"{better}nowhere measured so far.", "it breaks a limit"


def test_new_items_are_compared_among_the_rows_that_were_asked_for_them():
    shelf = "loo-cold-items/shelf"
    words, towers = make("Words"), make("Towers", "two-towers", "minilm-l6")
    fused = make("Fused", "fusion", ndcg=0.4, retriever="tf-idf+two-towers")
    asked = [figure_changed(row, "ndcg@10", protocol=shelf) for row in (words, towers, fused)]
    rows = [make("EASE"), make("LM", "cross-encoder", "minilm-l6", ndcg=0.1), *asked]
    users = {"EASE": people(0.2), "LM": people(0.1)}
    new = {shelf: {"Words": people(0.1), "Towers": people(0.3), "Fused": people(0.4)}}
    found = verdict.judge(rows, "ndcg@10", PROTOCOL, users, users, elsewhere=new)
    assert found.answer == "no"
    assert found.ahead == "Where a language model does better: new items among each other (100)."
    (line,) = [line for line in found.turns if "new items" in line.lower()]
    assert "Fused leads" in line, "a fusion with two towers reads with a language model"
    assert "Words" in line
    assert "EASE" not in line and "LM" not in line, "asked of other people, in another way"
    assert new_item_protocols(rows) == [shelf]
    assert found.tried == "Tried: 1 language model, all-MiniLM-L6-v2 (22.7 M parameters)."
    even = {shelf: {"Words": people(0.1), "Fused": mixed(0.1)}}
    found = verdict.judge(rows, "ndcg@10", PROTOCOL, users, users, elsewhere=even)
    assert found.ahead.endswith("nowhere measured so far.")
    assert any("not distinguishable" in line for line in found.turns)


@pytest.mark.parametrize(
    ("retriever", "reads", "tried"),
    [
        ("tf-idf+two-towers", True, "Tried: 1 language model, Two towers; no size is recorded."),
        ("item-knn+tf-idf", False, "No language model has been tried yet."),
    ],
)
def test_a_fusion_uses_a_language_model_where_a_member_does(retriever, reads, tried):
    fused = make("Fused", "fusion", ndcg=0.4, retriever=retriever)
    assert (fused.uses_language_model, fused.language_model_decides) == (reads, reads)
    assert judge([make("EASE"), fused], {}).tried == tried


def test_it_does_better_than_the_cheap_row_that_keeps_the_limits_as_the_answer_says():
    slow, quick = make("Slow", ndcg=0.6, p95=0.4), make("Quick", ndcg=0.2, p95=0.01)
    language = make("LM", "cross-encoder", "minilm-l6", ndcg=0.4, p95=0.01)
    users = {"Slow": people(0.6), "Quick": people(0.2), "LM": people(0.4)}
    found = judge([slow, quick, language], users, traffic=verdict.Traffic(p95_s=0.05))
    assert (found.answer, found.classical.name, found.choice.row.name) == ("yes", "Quick", "LM")
    assert found.ahead == "Where a language model does better: all who were asked (100)."
    assert judge([slow, quick, language], users).answer == "no"


def test_a_slice_of_few_people_is_no_place_where_a_language_model_does_better():
    a, b = make("EASE"), make("LM", "cross-encoder", "minilm-l6")
    rows = [with_slice(a, 7), with_slice(b, 7)]
    rows[0] = replace(rows[0], documents={**a.documents, "slices": {"cold items": list(range(7))}})
    users = {"EASE": people(0.2), "LM": people(lambda user: 0.5 if user < 7 else 0.1)}
    assert judge(rows, users).ahead.endswith("nowhere measured so far.")


def sized(name, backbone, parameters):
    row = make(name, "cross-encoder" if "minilm" in backbone else "decoder", backbone)
    figure = Measurement("parameters", parameters, "1", protocol="run", reason="not recorded")
    return replace(row, figures=(*row.figures, figure))


def test_the_language_models_that_were_tried_and_the_largest_are_named():
    rows = [
        make("EASE"),
        sized("A part of MiniLM", "minilm-l6", 15.5e6),
        sized("The same once more", "minilm-l6", 16e6),
        sized("SmolLM2", "smollm2-135m", 135e6),
        sized("Own", "somebody/own-7b", 7.1e9),
    ]
    assert judge(rows, {}).tried == (
        "Tried: 3 language models, the largest own-7b (7.10 G parameters)."
    )
    # of MiniLM two layers were served; the model that was tried has 22.7 million parameters
    assert judge(rows[:3], {}).tried == (
        "Tried: 1 language model, all-MiniLM-L6-v2 (22.7 M parameters)."
    )
    assert judge(rows[:1], {}).tried == "No language model has been tried yet."
    unknown = [rows[0], sized("Own", "own-folder", None)]
    assert judge(unknown, {}).tried == "Tried: 1 language model, own-folder; no size is recorded."


def test_slices_of_few_people_get_no_advice_and_empty_ones_are_named_once():
    rows = [make("EASE"), make("LM", "cross-encoder", "minilm-l6")]
    users = {"EASE": people(0.2), "LM": people(0.5)}
    few = judge([with_slice(row, 7) for row in rows], users).turns
    assert few == ("Too few people for advice, fewer than 20: cold items (7).",)
    empty = judge([with_slice(row, 0) for row in rows], users).turns
    assert empty == ("Nobody of this sample belongs to: cold items.",)


def test_how_often_the_choice_stays_is_said():
    rows = [make("EASE", ndcg=0.6), make("LM", "cross-encoder", "minilm-l6", ndcg=0.1, per_s=1)]
    users = {"EASE": split(0.6), "LM": mixed(0.1, 0.05)}
    assert judge(rows, users).sure == (
        "In 100 % of resamples of people and seeds EASE stays the choice."
    )


def test_nothing_finished_is_a_sentence():
    found = judge([], {})
    assert found.answer == "unknown"
    assert judge([make("EASE")], {}).sentence.startswith("No language model")
    assert len(USERS) == 100
