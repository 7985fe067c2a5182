"""Runs that differ in their seed alone are one row; all others stay apart."""

from dataclasses import replace

import numpy as np
import pytest

from llmrec_core.reading.comparison import difference
from llmrec_core.reading.groups import grouped, name_without_seed
from llmrec_core.reading.people import of_mapping, stacked
from tests.reading.rows import PROTOCOL, make


def seeds(*values, name="SASRec"):
    return [
        make(f"{name}, seed {seed}", "sasrec", ndcg=value, seed=seed, run_id=f"{name}{seed}")
        for seed, value in enumerate(values)
    ]


def test_runs_of_one_recipe_are_one_row_with_the_mean_and_an_interval_over_seeds():
    rows = grouped([make("EASE"), *seeds(0.30, 0.31, 0.35)])
    assert [row.name for row in rows] == ["EASE", "SASRec (3 seeds)"]
    group = rows[1]
    assert group.run_id == "SASRec0"
    assert group.run_ids == ("SASRec0", "SASRec1", "SASRec2")
    figure = group.figure("ndcg@10", PROTOCOL)
    assert figure.value == pytest.approx(0.32)
    # people ± 0.02, seeds 4.303 · 0.02646 ÷ √3 = 0.0657, in quadrature 0.0687
    assert figure.high - figure.value == pytest.approx((0.02**2 + 0.0657**2) ** 0.5, abs=1e-4)


def test_another_setting_is_another_row():
    one, two = seeds(0.3, 0.3)
    recommender = replace(two.spec.recommender, history_items=20)
    assert len(grouped([one, replace(two, spec=replace(two.spec, recommender=recommender))])) == 2
    waiting = replace(two, state="queued", figures=())
    assert len(grouped([one, waiting])) == 2


def test_a_figure_that_one_seed_lacks_is_unknown_with_its_reason():
    one, two = seeds(0.3, 0.3)
    two = replace(two, figures=tuple(f for f in two.figures if f.name != "recall@10"))
    figure = grouped([one, two])[0].figure("recall@10", PROTOCOL)
    assert figure.value is None
    assert "not part of this run" in figure.reason


def test_a_difference_of_groups_is_wider_than_that_of_their_means():
    rng = np.random.default_rng(0)
    levels = rng.uniform(0.2, 0.6, 200)
    groups = [
        stacked(
            [
                of_mapping(dict(enumerate(levels + rng.normal(luck, 0.02, 200))))
                for luck in (0.0, 0.03, -0.03)
            ]
        )
        for _ in range(2)
    ]
    found = difference(*groups)
    alone = difference(*(of_mapping(dict(enumerate(group.means))) for group in groups))
    assert found.high - found.low > 5 * (alone.high - alone.low)
    assert not found.distinguishable


@pytest.mark.parametrize(
    ("name", "group"),
    [("SASRec, seed 2", "SASRec"), ("SASRec (seed 12)", "SASRec"), ("Seedling 3", "Seedling 3")],
)
def test_the_seed_leaves_the_name(name, group):
    assert name_without_seed(name) == group
