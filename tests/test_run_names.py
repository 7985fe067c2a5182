"""A run is its id: a name that fits several is refused with what tells them apart."""

import pytest

from llmrec_core.cli.output import find_run
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.contract.spec_files import StudySpec
from llmrec_core.errors import UsageError


def spec(name, seed=0):
    return run_from_dict({"name": name, "seed": seed, "recommender": {"family": "ease"}})


@pytest.fixture
def twins(ledger):
    """`r` in two studies, and twice in one of them with two seeds."""
    ledger.add_study(StudySpec("one", "One", (spec("r"), spec("alone"))))
    ledger.enqueue(spec("r", seed=7), "one")
    ledger.add_study(StudySpec("two", "Two", (spec("r", seed=3),)))
    return ledger


def test_a_name_of_several_runs_is_refused_with_ids_and_differences(twins):
    with pytest.raises(UsageError, match="3 runs are called 'r'") as refusal:
        find_run(twins, "r")
    said = str(refusal.value)
    for run in twins.runs():
        if run.name == "r":
            assert run.id in said
    assert "study one, seed 0" in said
    assert "study two, seed 3" in said


def test_an_id_a_clear_name_and_a_study_with_a_name_are_found(twins):
    runs = twins.runs()
    assert find_run(twins, "alone").name == "alone"
    assert find_run(twins, "two/r").study == "two"
    for run in runs:
        assert find_run(twins, run.id).id == run.id
    with pytest.raises(UsageError, match="2 runs are called 'one/r'"):
        find_run(twins, "one/r")


def test_a_name_that_no_run_has_is_refused(twins):
    with pytest.raises(UsageError, match="no run"):
        find_run(twins, "nobody")
