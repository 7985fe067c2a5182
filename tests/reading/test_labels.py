"""Runs of one name are told apart by what differs, and by their ids in the end."""

from dataclasses import replace

from llmrec_core.reading.labels import distinct
from tests.reading.rows import make


def names(*rows):
    return [row.name for row in distinct(rows)]


def test_names_that_are_different_stay_as_they_are():
    assert names(make("a"), make("b")) == ["a", "b"]


def test_two_runs_of_one_name_say_in_what_they_differ():
    one, two = make("r", run_id="1"), make("r", run_id="2", seed=7)
    assert names(one, two) == ["r (seed 0)", "r (seed 7)"]
    other = replace(two, study="another")
    assert names(one, other) == ["r (study s, seed 0)", "r (study another, seed 7)"]


def test_runs_that_differ_in_nothing_are_told_apart_by_their_ids():
    assert names(make("r", run_id="aaaa1111"), make("r", run_id="bbbb2222")) == [
        "r (aaaa1111)",
        "r (bbbb2222)",
    ]


def test_three_twins_have_three_names():
    rows = [make("r", run_id=str(place), seed=place % 2) for place in range(3)]
    assert len(set(names(*rows))) == 3
