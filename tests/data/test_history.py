"""One history: training, evaluation, serving and explaining read the same form of what a person repeats."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.contract.requests import ExplainRequest
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import RunSpec, run_from_dict
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.history import Events, events_by_user, events_of
from llmrec_core.data.splits import split
from llmrec_core.errors import UsageError
from llmrec_core.explain.answer import explain_answer
from llmrec_core.recommenders.knn import ItemKnn
from llmrec_core.running.asked_history import history_of
from llmrec_core.types import REPEATS


def plays(order: str = "time", users: int = 12, songs: int = 10, events: int = 14, seed: int = 0):
    """People who play songs again."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"u{user}", f"s{song}", float(90_000 * number))
        for user in range(users)
        for number, song in enumerate(rng.integers(0, songs, events))
    ]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    items = pd.DataFrame({"item_id": [f"s{song}" for song in range(songs)]})
    items["title"] = [f"song number {song}" for song in range(songs)]
    return build_dataset("plays", table, items, order=order)


@pytest.mark.parametrize(
    ("repeats", "read"), [("first", [0, 1, 2]), ("last", [1, 2, 0]), ("all", [0, 1, 0, 2, 0])]
)
def test_each_rule_reads_a_b_a_c_a_as_its_table_says(repeats, read):
    assert Events.of_items([0, 1, 0, 2, 0]).read(repeats).tolist() == read


def test_an_unknown_rule_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match="'twice'; expected one of first, last, all"):
        Events.of_items([0]).read("twice")
    with pytest.raises(UsageError, match="repeats"):
        run_from_dict({"protocol": {"repeats": "twice"}})


def test_a_run_of_version_0_1_keeps_its_hash_and_another_rule_is_another_run():
    assert RunSpec().hash == "7899ffa84c6a22ba"
    assert RunSpec(protocol=ProtocolSpec(repeats="all")).hash != RunSpec().hash


@settings(max_examples=60, deadline=None)
@given(items=st.lists(st.integers(0, 5), max_size=20))
def test_without_repeats_all_rules_read_the_same_and_every_rule_can_be_applied_twice(items):
    once = Events.of_items(list(dict.fromkeys(items)))
    assert {tuple(once.read(rule)) for rule in REPEATS} == {tuple(dict.fromkeys(items))}
    for rule in REPEATS:
        read = Events.of_items(items).read(rule)
        assert Events.of_items(read).read(rule).tolist() == read.tolist()


@pytest.mark.parametrize("order", ["time", "file", "none"])
def test_the_events_of_one_user_are_those_of_all_users(order):
    dataset = plays(order)
    for user, events in enumerate(events_by_user(dataset)):
        alone = events_of(dataset, user)
        assert alone.items.tolist() == events.items.tolist()
        assert alone.new.tolist() == events.new.tolist()


@pytest.mark.parametrize("name", ["loo", "time"])
@pytest.mark.parametrize("repeats", REPEATS)
def test_the_rule_decides_what_is_read_and_never_what_is_withheld(name, repeats):
    dataset = plays()
    parts, usual = split(dataset, name, repeats), split(dataset, name)
    events = events_by_user(dataset)
    assert [case.relevant.tolist() for case in parts.test] == [
        case.relevant.tolist() for case in usual.test
    ]
    for case in [*parts.valid, *parts.test]:
        assert not set(case.relevant) & set(case.history)
        items = events[case.user].items
        assert set(case.history) == set(items[: np.flatnonzero(items == case.relevant[0])[0]])
        once = len(set(case.history)) == len(case.history)
        assert once or repeats == "all"


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), repeats=st.sampled_from(REPEATS))
def test_leaving_out_what_came_after_the_withheld_item_changes_nothing_before_it(seed, repeats):
    dataset = plays(seed=seed)
    case = split(dataset, "loo", repeats).test[0]
    when = events_of(dataset, case.user)
    moment = when.times[np.flatnonzero(when.items == case.relevant[0])[0]]
    table = dataset.interactions
    kept = table[(table["user"] != case.user) | (table["timestamp"] <= moment)]
    again = split(dataclasses.replace(dataset, interactions=kept), "loo", repeats)
    same = next(other for other in again.test if other.user == case.user)
    assert same.history.tolist() == case.history.tolist()
    assert same.relevant.tolist() == case.relevant.tolist()
    assert (
        again.train[case.user].tolist() == split(dataset, "loo", repeats).train[case.user].tolist()
    )


@pytest.mark.parametrize("repeats", REPEATS)
def test_serving_and_explaining_read_what_evaluation_reads(repeats, tmp_path):
    """Of a person whose events end with the withheld item, all three give one score."""
    dataset = plays()
    spec = run_from_dict({"protocol": {"repeats": repeats}, "recommender": {"family": "item-knn"}})
    parts = split(dataset, "loo", repeats)
    model = ItemKnn(history_items=5)
    model.fit(parts, RunContext(tmp_path))
    case = parts.test[0]
    name = str(dataset.users["user_id"].iloc[case.user])
    wanted = int(case.relevant[0])
    evaluated = float(model.score([case.history], np.array([[wanted]]))[0, 0])
    why = explain_answer(
        model, dataset, spec, ExplainRequest(item=wanted, user=name, occasion="evaluation")
    )
    assert why["prediction"] == pytest.approx(evaluated)
    titles = dataset.items["title"].iloc[case.history].tolist()
    typed = history_of(dataset, "", titles, repeats)
    assert typed.tolist() == case.history.tolist()
    served = history_of(dataset, name, (), repeats)
    assert served.tolist() == events_of(dataset, case.user).read(repeats).tolist()


def test_no_item_stands_twice_among_the_reasons_of_a_person_who_repeats(tmp_path):
    dataset = plays()
    parts = split(dataset, "loo")
    model = ItemKnn(history_items=5)
    model.fit(parts, RunContext(tmp_path))
    free = np.setdiff1d(np.arange(dataset.n_items), events_of(dataset, 0).items)
    why = explain_answer(model, dataset, RunSpec(), ExplainRequest(item=int(free[0]), user="u0"))
    titles = [player["title"] for player in why["players"]]
    assert len(set(titles)) == len(titles) > 1
