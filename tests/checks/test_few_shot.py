"""Labelled pairs against the number of labels: made from ratings or given, with every figure recomputable."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from llmrec_core.checks import few_shot, label_files
from llmrec_core.cli import measure
from llmrec_core.data.dataset import build_dataset
from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.metrics import classification
from llmrec_core.recommenders.pairs import like_rate


@pytest.fixture
def films():
    """Sixty people, half of whom like nearly everything; items 0 to 9 are liked more than the others."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(60):
        for time, item in enumerate(rng.permutation(40)[:20]):
            chance = 0.15 + 0.55 * (user % 2) + 0.25 * (item < 10)
            rows.append(
                (f"u{user}", f"i{item}", 5.0 if rng.random() < chance else 2.0, float(time))
            )
    return build_dataset(
        "films", pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "timestamp"])
    )


def test_people_are_apart_and_the_figures_are_those_of_the_predictions(films):
    train, test, origin = few_shot.pairs_of(films, 3.0)
    assert (
        not set(train.users) & set(test.users)
        and origin == "pairs made from ratings, liked above 3"
    )
    lines = []
    body = few_shot.measure(
        few_shot.Plan("films", (8, 256), seeds=3, liked_above=3.0), films, say=lines.append
    )
    assert len(lines) == 2 and len(body["rows"]) == 6
    base, recent, ours = body["rows"][-3:]
    assert base["value"] == pytest.approx(classification.auc(test.labels, like_rate(test)))
    assert base["gain_over_like_rate"] == [0, 0, 0]
    assert len(ours["seeds"]) == 3 and ours["value"] == pytest.approx(np.mean(ours["seeds"]))
    assert ours["low"] <= ours["value"] <= ours["high"]
    assert ours["gain_over_like_rate"][0] == pytest.approx(ours["value"] - base["value"])
    assert ours["value"] > 0.6 and 0 < ours["log_loss"] < 1 and 0 <= ours["calibration_error"] < 0.5
    assert recent["labels"] == ours["labels"] == 256
    assert body["metric_title"] == "AUC"


def test_ratings_of_one_kind_are_refused(films):
    same = films.interactions.assign(rating=4.0)
    constant = type(films)(**{**vars(films), "interactions": same})
    with pytest.raises(UnsupportedError, match="do not part into liked"):
        few_shot.pairs_of(constant)


@pytest.mark.threat("odd-numbers")
@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"labels": (1,)}, "labels.0 is 1; expected at least 2"),
        ({"labels": ()}, "labels is (); expected at least 1 of them"),
        ({"labels": (10**10,)}, "labels.0 is 10000000000; expected at most 1,000,000,000"),
        ({"seeds": 0}, "seeds is 0; expected at least 1"),
        ({"seeds": 10**9}, "seeds is 1000000000; expected at most 1,000"),
        ({"liked_above": float("nan")}, "liked_above is nan; expected a finite number"),
        ({"shots": 3}, "unknown field 'shots'. Expected one of data, labels, liked_above, seeds."),
    ],
)
def test_a_plan_refuses_what_is_out_of_its_bounds(fields, sentence):
    with pytest.raises(UsageError) as refusal:
        few_shot.Plan("films", **fields)
    assert str(refusal.value) == sentence


def test_the_command_stores_a_curve_for_the_quality_page(films, settings, monkeypatch):
    monkeypatch.setattr("llmrec_core.data.catalogue.load_dataset", lambda *_: films)
    app = typer.Typer()
    measure.register(app)
    asked = ["few-shot", "--data", "films", "--labels", "16", "--seeds", "2", "--liked-above", "3"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    stored = label_files.read_all(settings)["films-few-shot"]
    assert stored["rows"][0]["method"] == "Like rate of the history"
    assert Path(done.output.split()[-1]).name == "films-few-shot.json"
