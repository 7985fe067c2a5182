"""Questions: every field has bounds, and what the ledger stores is the question itself."""

from __future__ import annotations

import dataclasses
import json
import typing

import pytest

from llmrec_core.contract.policy import Policy
from llmrec_core.contract.requests import (
    KINDS,
    CheckDataRequest,
    CleanDataRequest,
    DiagnoseRequest,
    ExplainManyRequest,
    ExplainRequest,
    FetchDataRequest,
    LabelCurveRequest,
    MetersRequest,
    PolicyEffectRequest,
    ProfileRequest,
    RecommendRequest,
    RobustnessRequest,
    kind_of,
    parse_request,
    to_json,
)
from llmrec_core.errors import UsageError

QUESTIONS = [
    RecommendRequest(run="a", user="7", k=3, policy=Policy(block=("x",), popularity_penalty=0.5)),
    RecommendRequest(run="a", history_titles=("Tea", "Milk")),
    ExplainRequest(run="a", item="i1", user="7", listed=("i1", "i2"), against="i2", seed=3),
    ExplainRequest(item=0, history=(3, "i7"), players=("history", "fields"), honesty=True),
    ExplainRequest(item=1, history=()),
    ExplainManyRequest(run="a", users=5, attributes=("age",)),
    ProfileRequest(model="minilm-l6", grid=True, batches=(1, 8)),
    MetersRequest(),
    DiagnoseRequest(data="shop@2", model="smollm2-135m"),
    RobustnessRequest(run="a", users=50),
    PolicyEffectRequest(run="a", policy=Policy(genre_penalty={"Crime": 0.1})),
    LabelCurveRequest(data="shop", labels=(30, 90), methods=("popularity",)),
    CheckDataRequest(data="shop", split="time"),
    FetchDataRequest(data="ml-100k"),
    CleanDataRequest(data="shop", on=("bots",), k_core=3),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: kind_of(question))
def test_the_ledger_stores_a_question_as_json(question):
    payload = json.loads(json.dumps(to_json(question)))
    assert parse_request(kind_of(question), payload) == question


def test_only_what_was_asked_is_stored():
    assert to_json(RecommendRequest(run="a", user="7")) == {"run": "a", "user": "7"}
    assert to_json(ExplainRequest(item=1, history=())) == {"item": 1, "history": ()}


@pytest.mark.threat("odd-numbers")
@pytest.mark.parametrize(
    ("kind", "payload", "sentence"),
    [
        ("recomend", {}, "unknown question 'recomend'.*Did you mean 'recommend'"),
        ("recommend", {"user": "7"}, "run is missing"),
        ("recommend", {"run": "a", "k": 0}, "k is 0; expected at least 1"),
        ("recommend", {"run": "a", "k": 10**9}, "k is 1000000000; expected at most 10,000"),
        ("recommend", {"run": "a", "policy": {"blok": []}}, "unknown field 'policy.blok'"),
        ("explain", {"run": "a"}, "item is missing"),
        ("explain", {"item": ""}, "item is ''; expected the id of an item"),
        ("explain", {"item": 1.5}, "item is 1.5; expected the id of an item"),
        ("explain", {"item": True}, "item is True; expected the id of an item"),
        ("explain", {"item": 1, "listed": [None]}, "listed.0 is None; expected the id"),
        ("explain", {"item": 1, "players": ["friends"]}, "expected one of history, fields, user"),
        ("explain", {"item": 1, "error": -0.1}, "error is -0.1; expected at least 0"),
        ("explain-many", {"users": 0}, "users is 0; expected at least 1"),
        ("profile", {}, "exactly one of 'run'"),
        ("profile", {"run": "a", "model": "b"}, "exactly one of 'run'"),
        ("profile", {"run": "a", "grid": True}, "measured of a backbone"),
        ("profile", {"model": "b", "precision": "fp23"}, "Did you mean 'fp32'"),
        ("profile", {"model": "b", "device": "gpu"}, "device is 'gpu'"),
        ("profile", {"model": "b", "batches": [0]}, "batches.0 is 0; expected at least 1"),
        ("meters", {"x": 1}, "unknown field 'x'"),
        ("robustness", {}, "run is missing"),
        ("robustness", {"run": "a", "users": -1}, "users is -1; expected at least 0"),
        ("policy-effect", {"run": "a"}, "policy is missing"),
        ("policy-effect", {"run": "a", "policy": {"blok": []}}, "unknown field 'policy.blok'"),
        ("label-curve", {"data": "s", "labels": [1], "methods": ["ease"]}, "labels.0 is 1; expect"),
        ("label-curve", {"data": "s", "labels": [9], "methods": []}, "expected at least 1 of them"),
        ("check-data", {"data": "s", "users": 0}, "users is 0; expected at least 1"),
        ("clean-data", {"data": "s", "k_core": -1}, "k_core is -1; expected at least 0"),
    ],
)
def test_a_question_out_of_bounds_is_refused(kind, payload, sentence):
    with pytest.raises(UsageError, match=sentence):
        parse_request(kind, payload)


@pytest.mark.threat("odd-numbers")
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_number_of_a_question_has_an_upper_bound(kind):
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if hints[field.name] in (int, float):
            with pytest.raises(UsageError):
                dataclasses.replace(_smallest(kind), **{field.name: 10**12})
            with pytest.raises(UsageError):
                dataclasses.replace(_smallest(kind), **{field.name: -1})


def _smallest(kind):
    values = {"item": 1, "run": "a", "data": "s", "policy": Policy(), "labels": (2,)}
    values |= {"methods": ("ease",), "model": "m"}
    needed = {
        field.name: values[field.name]
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING or field.name == "run"
    }
    return kind(**needed)
