"""Noise does what it says, the score is what its definition says, and a record keeps one document of it."""

import doctest
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from llmrec_core.checks import label_curve, noise, robustness
from llmrec_core.checks.label_methods import METHODS
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import RecommenderSpec, RunSpec, run_from_dict
from llmrec_core.contract.spec_files import StudySpec
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.errors import UsageError
from llmrec_core.recommenders.registry import build, family_class
from tests import synthetic

TITLES = ["The Return of the King (2003)", "Alien (1979)", "Much Ado About Nothing (1993)"] * 20


@pytest.fixture(scope="module")
def made():
    """Users walk round a ring of items in chapters, so the next one is known and so is its title."""
    rows = [
        (f"u{u}", f"i{(3 * u + n) % 60}", float(1000 * n + u)) for u in range(120) for n in range(8)
    ]
    names = [f"chapter{n // 4} about{n // 8} part{n}" for n in range(60)]
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(60)], "title": names})
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    users = pd.DataFrame({"user_id": [f"u{u}" for u in range(120)], "gender": ["F", "M"] * 60})
    return split(build_dataset("ring", table, items, users), "loo")


@pytest.mark.parametrize("module", [noise, robustness])
def test_examples_in_the_documentation(module):
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize("kind", noise.OF_TITLES)
def test_titles_are_damaged_the_same_way_for_the_same_seed(kind):
    strength = noise.STRENGTHS[kind]
    once = noise.noisy_titles(TITLES, kind, strength, 0)
    assert once == noise.noisy_titles(TITLES, kind, strength, 0)
    assert once != TITLES
    if kind == "missing titles":
        assert 0.1 < once.count("") / len(once) < 0.5
        assert once != noise.noisy_titles(TITLES, kind, strength, 1)


def test_typos_leave_digits_and_order_and_strength_zero_leaves_all():
    assert noise.noisy_titles(TITLES, "typos", 0.0, 0) == TITLES
    for before, after in zip(TITLES, noise.noisy_titles(TITLES, "typos", 0.3, 0), strict=True):
        assert [c for c in before if c.isdigit()] == [c for c in after if c.isdigit()]


def test_injected_items_are_new_and_never_the_answer(made):
    for case in made.test:
        noisy = noise.noisy_history(case, "injected items", 0.5, 60, 0)
        added = np.setdiff1d(noisy.history, case.history)
        assert (
            len(added) == len(noisy.history) - len(case.history) == round(0.5 * len(case.history))
        )
        assert not np.isin(case.relevant, noisy.history).any()
        kept = noisy.history[np.isin(noisy.history, case.history)]
        assert kept.tolist() == case.history.tolist()  # in the order they were in
        mixed = noise.noisy_history(case, "shuffled history", 1.0, 60, 0)
        assert sorted(mixed.history) == sorted(case.history)


def test_flipped_labels_never_teach_what_is_asked(made):
    noisy = noise.flipped(made, 0.5, 0)
    changed = np.mean([np.mean(a != b) for a, b in zip(made.train, noisy.train, strict=True)])
    assert 0.35 < changed < 0.65
    assert all(not np.isin(case.relevant, noisy.train[case.user]).any() for case in made.test)


def measured(family, made, folder, **recommender):
    spec = RunSpec(recommender=RecommenderSpec(family=family, **recommender))
    spec = replace(spec, protocol=replace(spec.protocol, candidates="20-uniform"))
    model = build(spec, made.dataset, None)
    model.fit(made, RunContext(folder))
    model.save(folder / "model")
    load = lambda dataset: family_class(family).load(folder / "model", dataset)  # noqa: E731
    return robustness.measure(load, spec, made.dataset, None, robustness.Plan())


def test_a_model_of_ids_keeps_all_of_it_under_noise_of_titles(made, tmp_path):
    body = measured("item-knn", made, tmp_path)
    found = {figures["noise"]: figures for figures in body["noises"]}
    assert [found[kind]["kept"] for kind in noise.OF_TITLES] == [1.0] * 3
    assert found["label flips"]["value"] <= body["clean"]["value"]
    scored = [found[kind]["kept"] for kind in robustness.SCORED]
    assert body["score"]["value"] == pytest.approx(np.mean(scored))
    assert body["score"]["low"] <= body["score"]["value"] <= body["score"]["high"]
    assert body["worst_slice"] is None  # nothing lost, nothing to name


@pytest.mark.parametrize(
    ("family", "more"),
    [("tf-idf", {}), ("bm25", {}), ("fusion", {"retriever": "popularity+tf-idf"})],
)
def test_a_model_of_words_loses_under_missing_titles(made, tmp_path, family, more):
    body = measured(family, made, tmp_path, **more)
    found = {figures["noise"]: figures for figures in body["noises"]}
    assert found["missing titles"]["high"] < 0
    assert found["missing titles"]["kept"] < 0.95
    assert found["typos"]["kept"] < 1
    worst = body["worst_slice"]
    assert worst["noise"] in robustness.SCORED
    assert worst["n"] >= robustness.MIN_PEOPLE
    assert worst["high"] >= worst["difference"] >= worst["low"]


def test_a_record_keeps_the_latest_document(ledger):
    (run,) = ledger.add_study(StudySpec("s", "S", (RunSpec(name="a"),)))
    ledger.add_document(run, robustness.DOCUMENT, {"users": np.int64(1)})
    ledger.add_document(run, robustness.DOCUMENT, {"users": 2})
    assert ledger.document(run, "robustness") == {"users": 2}


def test_command_line_names_what_is_missing(home):
    import typer

    from llmrec_core.cli import measure
    from llmrec_core.errors import UsageError

    app = typer.Typer()
    measure.register(app)
    both = CliRunner().invoke(app, ["robustness"])
    assert isinstance(both.exception, UsageError)
    none = CliRunner().invoke(app, ["robustness", "--study", "nothing"])
    assert "no finished run" in str(none.exception)
    wrong = CliRunner().invoke(app, ["label-curve", "--method", "magic"])
    assert "'magic' is unknown" in str(wrong.exception)


# ── labels ───────────────────────────────────────────────────────────────────────────────────────


def test_draws_of_labels_are_nested_and_hide_the_rest(made):
    small, large = label_curve.restrict(made, 100, 0), label_curve.restrict(made, 300, 0)
    assert sum(map(len, small.train)) == 100
    assert sum(map(len, large.train)) == 300
    for few, many, every in zip(small.train, large.train, made.train, strict=True):
        assert set(few) <= set(many) <= set(every)
    learned = {user for user, items in enumerate(small.train) if len(items)}
    assert {case.user for case in small.valid} <= learned
    assert [case.user for case in small.test] == [case.user for case in made.test]
    assert sum(map(len, label_curve.restrict(made, 10**9, 0).train)) == sum(map(len, made.train))


def test_a_curve_has_a_row_per_method_and_number_of_labels(made, monkeypatch, settings):
    monkeypatch.setattr(label_curve, "load_dataset", lambda name, settings: made.dataset)
    monkeypatch.setattr(label_curve, "CANDIDATES", "20-uniform")
    plan = label_curve.Plan("ring", (60, 10**6), ("popularity", "item-knn"), seeds=3, users=50)
    lines = []
    body = label_curve.measure(plan, settings, say=lines.append)
    assert [(row["method"], row["labels"]) for row in body["rows"]] == [
        ("Popularity", 60), ("Item-kNN", 60), ("Popularity", 720), ("Item-kNN", 720),
    ]  # fmt: skip
    for row in body["rows"]:
        assert len(row["seeds"]) == 3
        assert row["low"] <= row["value"] <= row["high"]
    assert body["rows"][3]["value"] > body["rows"][1]["value"]
    assert body["rows"][3]["spread"] == 0  # all labels: every draw is the same
    assert len(lines) == 4


@pytest.mark.threat("odd-numbers")
@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"labels": (300, 1)}, "labels.1 is 1; expected at least 2"),
        ({"methods": ("magic",)}, "--method 'magic' is unknown; expected one of popularity, "),
        ({"methods": ()}, "methods is (); expected at least 1 of them"),
        ({"users": -1}, "users is -1; expected at least 0"),
        ({"steps": 1}, "steps is 1; expected at least 2"),
        ({"depth": 10**6}, "depth is 1000000; expected at most 1,000"),
    ],
)
def test_a_plan_of_a_curve_refuses_what_is_out_of_its_bounds(fields, sentence):
    with pytest.raises(UsageError) as refusal:
        label_curve.Plan(**fields)
    assert str(refusal.value).startswith(sentence)


def test_every_method_makes_a_valid_spec():
    plan = label_curve.Plan()
    for method in METHODS:
        assert run_from_dict(plan.spec(method, 0).to_dict()) == plan.spec(method, 0)


def test_synthetic_documents_have_the_form_of_real_ones(made, tmp_path):
    real = measured("popularity", made, tmp_path)
    fake = synthetic.record(synthetic.ROWS[0], 0)[2]["robustness"]
    assert set(fake) <= set(real)
    assert set(fake["worst_slice"]) <= {
        "noise",
        "facet",
        "group",
        "clean",
        "noisy",
        "difference",
        "low",
        "high",
        "n",
    }
