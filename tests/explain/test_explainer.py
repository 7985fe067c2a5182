"""Explanations as shap's own: adding up, aligned over people, drawn by shap's plots, of a run by name."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from llmrec_core.errors import UsageError
from llmrec_core.explain import Explainer
from llmrec_core.ledger.ledger import Ledger
from tests import synthetic

FIXTURES = Path(__file__).parents[1] / "fixtures"
WORTH = {3: 0.5, 7: -0.2, 11: 1.0}


@pytest.fixture
def explainer(rule, small_dataset):
    """Of a recommender whose items add up: 3, 7 and 11 as above, every other 0.1, and -0.01 an item code."""
    score = rule(lambda history, item: sum(WORTH.get(i, 0.1) for i in history) - 0.01 * item)
    return Explainer(score, small_dataset)


def test_rows_add_up_and_columns_are_places_in_the_history(explainer, small_dataset):
    reasons = explainer([["i3", "i7"], ["i7", "i20", "i11"]], items=["i15", 16])
    assert list(reasons.feature_names) == ["1 back", "2 back", "3 back"]
    # the latest item first: 7 and 3 of the first history, 11, 20 and 7 of the second
    assert np.allclose(reasons.values, [[-0.2, 0.5, 0.0], [1.0, 0.1, -0.2]])
    assert np.allclose(reasons.base_values, [-0.15, -0.16])
    assert np.isnan(reasons.data[0, 2]) and reasons.display_data[0, 2] == ""
    assert "number11" in reasons.display_data[1, 0]
    assert not reasons.error_std.any() and np.array_equal(reasons.lower_bounds, reasons.values)


def test_one_person_alone_and_the_best_item_of_their_list(explainer, small_dataset):
    user = small_dataset.user_code("u3")
    table = small_dataset.interactions
    seen = set(table.loc[table["user"] == user, "item"])
    best = next(
        item for item in range(30) if item not in seen
    )  # every item scores less than the one before
    record = explainer.explain("u3")
    assert record.item_id == f"i{best}" and len(record.players) == 10
    reasons = explainer("u3")
    assert reasons.shape == (1, 10)
    assert reasons.base_values[0] + reasons.values.sum() == pytest.approx(record.prediction)
    assert explainer([3, 7]).shape == (1, 2)


def test_a_record_is_drawn_by_shap_with_our_error_bars(explainer):
    record = explainer.explain(["i3", "i7", "i11"], "i15")
    ours = record.to_shap()
    assert ours.base_values == pytest.approx(-0.15) and ours.data.tolist() == [3, 2, 1]
    assert ours.display_data.tolist() == ["3 back", "2 back", "1 back"]
    long = Explainer(explainer.recommender, explainer.dataset, budget=40)
    sampled = long.explain([f"i{i}" for i in range(1, 14)], "i15").to_shap()
    assert np.all(sampled.lower_bounds <= sampled.values)
    assert np.allclose(sampled.upper_bounds - sampled.values, 1.96 * sampled.error_std)


def test_shap_draws_waterfall_beeswarm_and_bars(explainer):
    import matplotlib as mpl
    import shap

    mpl.use("Agg")
    reasons = explainer(["u1", "u2", "u5"])
    for plot, drawn in (
        (shap.plots.waterfall, reasons[0]),
        (shap.plots.beeswarm, reasons),
        (shap.plots.bar, reasons),
        (shap.plots.waterfall, explainer.explain("u1").to_shap()),
    ):
        plot(drawn, show=False)
        axes = mpl.pyplot.gcf().axes
        assert any("back" in label.get_text() for axis in axes for label in axis.get_yticklabels())
        mpl.pyplot.close("all")


def test_wrong_people_and_items_are_sentences(explainer):
    with pytest.raises(UsageError, match="2 items for 1 people"):
        explainer(["u1"], items=["i1", "i2"])
    with pytest.raises(UsageError, match="no history item"):
        explainer([[]], items=["i1"])
    with pytest.raises(UsageError, match="nobody"):
        explainer("nobody")
    with pytest.raises(UsageError, match="already in this history"):
        explainer([["i3"]], items=["i3"])


def test_a_run_is_explained_by_name_or_id(settings):
    with tarfile.open(FIXTURES / "home-0.1.tar.gz") as archive:
        archive.extractall(settings.home, filter="data")
    explainer = Explainer.of_run("Item-kNN", settings)
    run = next(run for run in Ledger.open(settings).runs("shop") if run.name == "Item-kNN")
    people = explainer.dataset.users["user_id"].astype(str).tolist()[:2]
    assert np.allclose(explainer(people).values, Explainer.of_run(run.id, settings)(people).values)
    with pytest.raises(UsageError, match="no run 'Item-knn'"):
        Explainer.of_run("Item-knn", settings)


def test_a_name_that_fits_two_runs_is_refused_with_their_ids(settings):
    for study in ("first", "second"):
        synthetic.write_study(settings, study)
    with pytest.raises(UsageError, match="2 finished runs are called") as refusal:
        Explainer.of_run("EASE", settings)
    assert "of study first" in str(refusal.value) and "of study second" in str(refusal.value)
