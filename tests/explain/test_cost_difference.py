"""Cost reasons multiply to the measured ratio and agree with arithmetic."""

import dataclasses

import pytest

from llmrec_core.errors import UnsupportedError
from llmrec_core.explain.cost_difference import RunCost, run_cost, why_more_expensive, work

SMALL = RunCost("small", "minilm-l6", 2, "fp32", "shared", 100, 10, 80, 12, cost=1.0)


def test_factors_multiply_to_the_ratio():
    big = dataclasses.replace(
        SMALL, name="big", depth=6, precision="int8", candidates=50, mode="full", cost=7.0
    )
    found = why_more_expensive(SMALL, big, {"int8": 0.5})
    product = 1.0
    for factor in found.factors:
        product *= factor.times
    assert product == pytest.approx(7.0) and found.ratio == 7.0
    assert {factor.name for factor in found.factors} == {
        "depth",
        "precision",
        "candidates",
        "mode",
        "rest",
    }
    assert next(f.times for f in found.factors if f.name == "precision") == pytest.approx(0.5)
    assert "7 times as expensive as small" in found.text


def test_one_difference_gets_the_whole_formula_ratio():
    deep = dataclasses.replace(SMALL, name="deep", depth=6, cost=2.4)
    found = why_more_expensive(SMALL, deep)
    expected = work(deep, {}) / work(SMALL, {})
    assert found.factors[0].name == "depth" and found.factors[0].times == pytest.approx(expected)
    assert found.factors[-1].times == pytest.approx(2.4 / expected)


def test_equal_runs_differ_only_in_what_the_formula_leaves_out():
    found = why_more_expensive(SMALL, dataclasses.replace(SMALL, name="again", cost=1.1))
    assert [factor.name for factor in found.factors] == ["rest"] and found.factors[
        0
    ].times == pytest.approx(1.1)


def test_a_recommender_without_prompts_is_refused():
    from llmrec_core.contract.spec import RunSpec
    from llmrec_core.reading.row import Row

    with pytest.raises(UnsupportedError, match="reads no prompt"):
        run_cost(Row("1", "s", "Popularity", "finished", RunSpec(name="Popularity")), 1.0)
