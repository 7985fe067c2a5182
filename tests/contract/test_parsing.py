"""What comes from outside is parsed once: types, bounds and sentences of refusal."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

import pytest
from pydantic import Field

from llmrec_core.contract.parsing import Flag, Number, Text, Whole, parse, parsed
from llmrec_core.errors import UsageError


@parsed
class Inner:
    count: Annotated[Whole, Field(ge=1, le=1_000)] = 10
    share: Annotated[Number, Field(ge=0, lt=1)] = 0.5
    kind: Literal["slow", "fast"] = "slow"
    names: tuple[Text, ...] = ()
    weights: dict[Text, Number] = dataclasses.field(default_factory=dict)
    wanted: Flag = True

    def __post_init__(self) -> None:
        if self.kind == "fast" and self.count > 100:
            raise UsageError("fast goes up to 100")


@parsed
class Outer:
    inner: Inner = dataclasses.field(default_factory=Inner)
    other: Inner | None = None


@pytest.mark.threat("odd-numbers")
@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"inner": {"count": 0}}, "inner.count is 0; expected at least 1"),
        ({"inner": {"count": 1_001}}, "inner.count is 1001; expected at most 1,000"),
        ({"inner": {"count": 3.0}}, "inner.count is 3.0; expected a whole number"),
        ({"inner": {"count": True}}, "inner.count is True; expected a whole number"),
        ({"inner": {"count": "3"}}, "inner.count is '3'; expected a whole number"),
        ({"inner": {"share": 1}}, "inner.share is 1; expected a number below 1"),
        ({"inner": {"share": float("nan")}}, "inner.share is nan; expected a finite number"),
        ({"inner": {"share": float("inf")}}, "inner.share is inf; expected a finite number"),
        ({"inner": {"share": True}}, "inner.share is True; expected a number"),
        ({"inner": {"wanted": 1}}, "inner.wanted is 1; expected true or false"),
        ({"inner": {"names": "ab"}}, "inner.names is 'ab'; expected a list"),
        ({"inner": {"names": [1]}}, "inner.names.0 is 1; expected text"),
        ({"inner": {"weights": {"a": "b"}}}, "inner.weights.a is 'b'; expected a number"),
        ({"inner": 3}, "inner is 3; expected a table"),
        (3, "it is 3; expected a table"),
        (
            {"inner": {"kind": "fats"}},
            "inner.kind is 'fats'; expected one of slow, fast. Did you mean 'fast'?",
        ),
        ({"inner": {"cuont": 3}}, "unknown field 'inner.cuont'. Did you mean 'count'?"),
        ({"zzz": 3}, "unknown field 'zzz'. Expected one of inner, other."),
        ({"other": {"zzz": 3}}, "unknown field 'other.zzz'. Expected one of count, kind, names, "),
        ({"inner": {"kind": "fast", "count": 200}}, "fast goes up to 100"),
    ],
)
def test_a_refusal_names_the_field_what_came_and_what_was_expected(table, sentence):
    with pytest.raises(UsageError) as refusal:
        parse(Outer, table, "file.toml")
    assert str(refusal.value).startswith(f"file.toml: {sentence}")


def test_zero_is_zero_and_whole_numbers_stay_whole():
    share = parse(Outer, {"inner": {"share": 0, "weights": {"l2": 500}}}).inner
    assert repr((share.share, share.weights)) == "(0, {'l2': 500})"


def test_making_and_changing_one_in_code_is_checked_too():
    with pytest.raises(UsageError, match="count is 0; expected at least 1"):
        Inner(count=0)
    with pytest.raises(UsageError, match="count is -1; expected at least 1"):
        dataclasses.replace(Inner(), count=-1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Inner().count = 3
