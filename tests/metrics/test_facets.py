"""Facets put every case into one group, and say what the group is."""

import doctest

import numpy as np
import pandas as pd

from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.metrics import facets, intervals


def test_examples_in_the_documentation():
    for module in (facets, intervals):
        result = doctest.testmod(module)
        assert result.attempted
        assert not result.failed


def dataset():
    rows = []
    for user in range(20):
        for place in range(4 + user % 4):
            day = 86_400.0 * 40 if user < 5 and place == 3 + user % 4 else 0.0
            rows.append((f"u{user}", f"i{(user + place) % 12}", 1.0, 1e9 + 100.0 * place + day))
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "timestamp"])
    users = pd.DataFrame(
        {
            "user_id": [f"u{n}" for n in range(20)],
            "gender": ["F", "M"] * 10,
            "age": [str(20 + n) for n in range(20)],
            "zip": [f"z{n}" for n in range(20)],
        }
    )
    return build_dataset("made", table, users=users)


def test_every_case_is_in_exactly_one_group_of_each_facet():
    made = split(dataset(), "loo")
    found = facets.facets(made, made.test)
    assert {"history length", "pause before the withheld item", "gender", "age"} <= set(found)
    for facet in found.values():
        assert facet.groups.shape == (len(made.test),)
        assert set(facet.groups) == set(range(len(facet.names)))


def test_pauses_and_attributes_are_read_from_the_data():
    made = split(dataset(), "loo")
    found = facets.facets(made, made.test)
    pause = found["pause before the withheld item"]
    long = [
        case.user
        for case, group in zip(made.test, pause.groups, strict=True)
        if "30 days" in pause.names[group]
    ]
    assert long == [0, 1, 2, 3, 4]  # those whose last item came 40 days later
    gender = found["gender"]
    assert gender.names == ("gender F", "gender M")
    assert [gender.names[group][-1] for group in gender.groups[:3]] == ["F", "M", "F"]


def test_a_number_with_many_values_is_cut_into_quarters_and_an_id_is_no_facet(monkeypatch):
    monkeypatch.setattr(facets, "MAX_VALUES", 8)
    made = split(dataset(), "loo")
    found = facets.facets(made, made.test)
    assert found["age"].names == ("age 20 to 24", "age 25 to 29", "age 30 to 34", "age 35 to 39")
    assert np.bincount(found["age"].groups).tolist() == [5, 5, 5, 5]
    assert "zip" not in found  # as many values as people, and no numbers
