"""Rows, prices, fronts and verdicts from records whose answers can be worked out by hand."""

from dataclasses import replace

import pytest

from llmrec_core.experiments import front, grid, lists, marks, tables, verdict, views
from llmrec_core.experiments.spec import DataSpec, RunSpec, run_from_dict
from llmrec_core.types import Measurement

PROTOCOL = "loo/100-uniform"
USERS = range(100)


def make(name, family="ease", backbone="", ndcg=0.2, hits=0.5, per_s=10.0, p95=0.1, **spec) -> views.Row:
    one = {"family": family, "backbone": backbone, **spec}
    if family == "cascade":
        one |= {"retriever": "ease", "rerank_k": 20}
    figures = (
        Measurement("ndcg@10", ndcg, "1", ndcg - 0.02, ndcg + 0.02, 100, "all", PROTOCOL),
        Measurement("recall@10", hits, "1", hits - 0.05, hits + 0.05, 100, "all", PROTOCOL),
        Measurement("latency_p95_s", p95, "s", protocol="request/100/batch-1"),
        Measurement("throughput_requests_per_s", per_s / 2, "1/s", protocol="request/100/batch-1"),
        Measurement("throughput_requests_per_s", per_s, "1/s", per_s / 2, per_s * 2, protocol="request/100/batch-8"),
        Measurement("energy_per_request_j", None, "J", protocol="request/100/batch-8", reason="no counter"),
        Measurement("usd_per_hour", 0.36, "USD/h", protocol="run"),
        Measurement("utilisation", 0.5, "1", protocol="run"),
    )
    documents = {"device": {"name": "CPU A"}, "conditions": {"grid_g_per_kwh": 400.0}}
    return views.Row(name, "s", name, "finished", run_from_dict({"name": name, "recommender": one}), figures, documents)


def constant(value, spread=0.0):
    return {user: value + (spread if user % 2 else -spread) for user in USERS}


def test_usd_per_million_is_price_over_requests_of_the_largest_batch():
    # 0.36 $/h ÷ (10 requests/s × 3600 s × 0.5) × 1e6 = 20 $; twice the rate = 10 $, half the rate = 40 $
    found = views.usd_per_million(make("a"))
    assert (found.value, found.low, found.high) == (pytest.approx(20), pytest.approx(10), pytest.approx(40))
    typed = views.usd_per_million(make("a"), views.Pricing(usd_per_hour=0.72, utilisation=1.0))
    assert typed.value == pytest.approx(20)  # twice the price, twice the use


def test_unknown_figures_say_why_and_are_never_zero():
    row = make("a")
    silent = replace(row, figures=tuple(f for f in row.figures if f.name != "usd_per_hour"))
    found = views.usd_per_million(silent)
    assert found.value is None
    assert "price" in found.reason
    assert views.usd_per_million(replace(row, state="running", figures=())).reason == "the run has not finished"
    assert row.request_figure("latency_p99_s").value is None


def test_typed_watts_give_assumed_energy_only_where_nothing_was_measured():
    row = make("a")
    assert views.energy(row).joules.reason == "no counter"
    found = views.energy(row, views.Pricing(watts=50))
    assert found.assumed
    assert found.joules.value == pytest.approx(5)  # 50 W ÷ 10 requests/s
    assert found.grams_per_million.value == pytest.approx(5 / 3.6e6 * 400 * 1e6)
    measured = Measurement("energy_per_request_j", 2.0, "J", protocol="request/100/batch-8")
    metered = replace(row, figures=(*(f for f in row.figures if f.name != "energy_per_request_j"), measured))
    assert not views.energy(metered, views.Pricing(watts=50)).assumed
    assert views.energy(metered, views.Pricing(watts=50)).joules.value == 2.0


def test_the_front_keeps_what_nothing_beats_in_both():
    rows = [make("cheap", ndcg=0.1, per_s=100), make("worse", ndcg=0.09, per_s=50), make("best", ndcg=0.3, per_s=1)]
    chart = front.chart(rows, "ndcg@10", PROTOCOL, "usd_per_million")
    assert [point.row.name for point in chart.front] == ["cheap", "best"]
    assert front.non_dominated([(1, 1), (1, 1)]) == {0, 1}, "equal points do not beat each other"


def test_a_row_without_the_cost_is_left_out_with_the_reason():
    chart = front.chart([make("a")], "ndcg@10", PROTOCOL, "energy_per_request_j")
    assert chart.left_out == (("a", "Energy per request: no counter"),)
    assert not chart.points


def test_the_choice_takes_the_cheapest_that_cannot_be_told_from_the_best():
    cheap, dear = make("cheap", ndcg=0.29, per_s=100), make("dear", ndcg=0.3, per_s=1)
    users = {"cheap": constant(0.29, 0.3), "dear": {u: 0.3 + (0.3 if u % 4 < 2 else -0.3) for u in USERS}}
    found = front.choose([dear, cheap], "ndcg@10", PROTOCOL, front.Limits(), users)
    assert found.row is cheap
    assert "not distinguishable from dear" in found.sentence
    assert "100 times as much" in found.why_not


def test_the_choice_names_the_limit_that_the_next_best_breaks():
    fast, slow = make("fast", ndcg=0.2, p95=0.01), make("slow", ndcg=0.4, p95=2.0)
    found = front.choose([fast, slow], "ndcg@10", PROTOCOL, front.Limits(p95_s=0.1), {})
    assert found.row is fast
    assert found.why_not == "The next best, slow, fails: its p95 of 2.00 s is above 100 ms."
    nothing = front.choose([fast, slow], "ndcg@10", PROTOCOL, front.Limits(usd_per_million=1.0), {})
    assert nothing.row is None
    assert "Nothing measured keeps these limits" in nothing.sentence


def test_points_of_other_data_users_or_machines_are_warned_about():
    a, b = make("a"), make("b")
    assert views.comparability([a, b], PROTOCOL) == []
    other = replace(b, spec=replace(b.spec, data=DataSpec("ml-100k", "ffff")), documents={"device": {"name": "CPU B"}})
    warnings = views.comparability([a, other], PROTOCOL)
    assert len(warnings) == 2
    assert "data" in warnings[0]
    assert "machine" in warnings[1]


@pytest.mark.parametrize(
    ("language_users", "answer"),
    [
        (constant(0.5), "yes"),
        (constant(0.1), "no"),
        ({user: 0.2 + (0.3 if user % 4 < 2 else -0.3) for user in USERS}, "not distinguishable"),
    ],
)
def test_the_verdict_follows_the_paired_interval(language_users, answer):
    classical, language = make("EASE"), make("LM", "cross-encoder", "minilm-l6", ndcg=0.2, per_s=1)
    users = {"EASE": constant(0.2), "LM": language_users}
    found = verdict.judge([classical, language], "ndcg@10", PROTOCOL, users, users)
    assert found.answer == answer
    assert "10 times as much" in found.sentence
    assert "better" not in found.sentence


def test_a_cascade_that_changes_nothing_is_called_the_same():
    classical, cascade = make("EASE"), make("cascade", "cascade", "minilm-l6", per_s=1)
    users = {"EASE": constant(0.2), "cascade": constant(0.2)}
    found = verdict.judge([classical, cascade], "ndcg@10", PROTOCOL, users, users)
    assert "the same for every user, 100 users" in found.sentence
    assert "+0.0" not in found.sentence + found.extra_hit


def test_a_language_model_without_weight_in_the_blend_is_no_language_model():
    silent = make("Silent cascade", "cascade", "minilm-l6", ndcg=0.5)
    silent = replace(silent, documents={**silent.documents, "model": {"blend": 0.0, "layers": 6}})
    reader = make("Reader", "cross-encoder", "minilm-l6", ndcg=0.3)
    cheap = make("Cheap", ndcg=0.4)
    rows = [silent, reader, cheap]
    users = {row.run_id: constant(row.figure("ndcg@10").value, 0.01) for row in rows}
    found = verdict.judge(rows, "ndcg@10", PROTOCOL, users, users)
    assert found.language.name == "Reader"
    assert "Reader, the best language model here" in found.sentence
    assert "Silent cascade, because validation gave its language model no weight" in found.silent
    assert "no weight in the blend" in found.cards[-1].note
    heard = replace(silent, documents={**silent.documents, "model": {"blend": 0.1}})
    assert verdict.judge([heard, reader, cheap], "ndcg@10", PROTOCOL, users, users).language.name == "Silent cascade"


def test_an_extra_hit_costs_the_difference_in_price_over_the_difference_in_hits():
    classical, language = make("EASE", per_s=10), make("LM", "cross-encoder", "minilm-l6", per_s=5, ndcg=0.4)
    hits = {"EASE": dict.fromkeys(USERS, 0.0), "LM": {user: float(user < 20) for user in USERS}}
    found = verdict.judge(
        [classical, language], "ndcg@10", PROTOCOL, {"EASE": constant(0.2), "LM": constant(0.4)}, hits,
        verdict.Traffic(1e6, hit_worth_usd=0.001),
    )  # fmt: skip
    # (40 − 20) $ per million ÷ 0.2 hits = 0.0001 $ a hit; gain = 1e6 × (0.2 × 0.001 − 20e-6) = 180 $
    assert "20.0 extra hits per 100 requests" in found.extra_hit
    assert "$0.000100 each" in found.extra_hit
    assert "gains $180 a month" in found.break_even


def test_the_cards_are_cheapest_sensible_within_budget_and_best():
    rows = [
        make("pop", "popularity", ndcg=0.1, per_s=1000),
        make("knn", "item-knn", ndcg=0.3, per_s=100),
        make("LM", "cross-encoder", "minilm-l6", ndcg=0.5, per_s=1, p95=3.0),
    ]
    users = {"pop": constant(0.1), "knn": constant(0.3), "LM": constant(0.5)}
    found = verdict.judge(rows, "ndcg@10", PROTOCOL, users, users, verdict.Traffic(1e6, 50, 1.0))
    assert [(card.title, card.row.name) for card in found.cards] == [
        ("Cheapest sensible", "knn"),
        ("Best within budget", "knn"),
        ("Best quality", "LM"),
    ]
    assert found.cards[0].hits.value == pytest.approx(50)


def test_slices_are_compared_user_by_user_where_their_users_are_known():
    extra = (Measurement("ndcg@10", 0.3, "1", 0.1, 0.5, 50, "cold items", PROTOCOL),)
    a, b = make("EASE"), make("LM", "cross-encoder", "minilm-l6")
    a, b = replace(a, figures=a.figures + extra), replace(b, figures=b.figures + extra)
    users = {"EASE": constant(0.2), "LM": {user: 0.5 if user < 50 else 0.0 for user in USERS}}
    apart = verdict.judge([a, b], "ndcg@10", PROTOCOL, users, users)
    assert "intervals overlap" in apart.turns[0]
    a = replace(a, documents={**a.documents, "slices": {"cold items": list(range(50))}})
    assert "LM leads" in verdict.judge([a, b], "ndcg@10", PROTOCOL, users, users).turns[0]


def test_nothing_finished_is_a_sentence():
    found = verdict.judge([], "ndcg@10", PROTOCOL, {}, {})
    assert found.answer == "unknown"
    assert verdict.judge([make("EASE")], "ndcg@10", PROTOCOL, {}, {}).sentence.startswith("No language model")


def test_shapes_and_colours_do_not_depend_on_the_order():
    specs = [make("a", "cross-encoder", "minilm-l6", depth=depth).spec.recommender for depth in (6, 2, 4)]
    assert marks.shapes(specs) == marks.shapes(specs[::-1])
    assert len(set(marks.shapes(specs).values())) == 3


def test_costs_by_size_and_precision_are_medians_and_gaps_stay_gaps():
    rows = [make(name, "cross-encoder", "minilm-l6", depth=2, p95=p95) for name, p95 in (("a", 0.1), ("b", 0.3))]
    cheap = make("int8", "cross-encoder", "minilm-l6", depth=4, p95=0.05)
    rows.append(replace(cheap, spec=replace(cheap.spec, precision="int8-dynamic")))
    found = tables.size_by_precision(rows, "latency_p95_s")
    assert found.sizes == ("minilm-l6, 2 layers", "minilm-l6, 4 layers")
    assert found.precisions == ("fp32", "int8-dynamic")
    assert found.values == ((pytest.approx(0.2), None), (None, 0.05))


def test_a_grid_names_its_rows_and_shares_trained_weights():
    base = RunSpec(recommender=make("a", "cross-encoder", "minilm-l6").spec.recommender).to_dict()
    runs = grid.grid(base, depths=(2, 4), methods=("full",), precisions=("fp32", "int8"))
    assert [run.name for run in runs][:2] == [
        "Cross-encoder minilm-l6, 2 layers, all weights",
        "Cross-encoder minilm-l6, 2 layers, all weights, int8",
    ]
    assert [run.weights_from for run in runs] == ["", runs[0].name, "", runs[2].name]
    alone = {"recommender": {**base["recommender"], "history_attention": "per_item"}}
    assert grid.grid(alone, depths=(2,))[0].name == "Cross-encoder minilm-l6, 2 layers, items read alone, not trained"
    only = grid.grid(base, methods=("lora",), precisions=("int8",))
    assert [run.precision for run in only] == ["fp32", "int8"], "int8 of a trained row needs that row"


@pytest.mark.parametrize("family", ["bm25", "als", "bpr", "fusion"])
def test_every_family_of_a_spec_has_a_name_a_shape_and_no_dials_of_a_language_model(family):
    members = {"retriever": "item-knn+tf-idf"} if family == "fusion" else {}
    run = grid.grid({"recommender": {"family": family, **members}})[0]
    assert run.name == ("Fusion, Item-kNN + TF-IDF" if family == "fusion" else family.upper())
    assert family in grid.CLASSICAL
    assert marks.shapes([run.recommender])[marks.size_label(run.recommender)] != "cross"


def test_offered_people_disagree_are_cold_and_are_missed():
    def body(items, withheld="w"):
        return [{"item_id": i, "title": i, "score": 1.0, "withheld": i == withheld} for i in items]

    known = {
        run: {"users": {
            "1": {"history": ["w"], "withheld": "w", "items": body(first)},
            "2": {"history": ["x"], "withheld": "rare", "items": body("abc", "a")},
            "3": {"history": ["y"], "withheld": "w", "items": body("abc")},
        }}
        for run, first in (("A", "wab"), ("B", "wcd"))
    }  # fmt: skip
    assert [(offer.kind, offer.user) for offer in lists.offers(known)] == [
        ("Models disagree", "1"),
        ("Cold item", "2"),
        ("A miss", "3"),
    ]
