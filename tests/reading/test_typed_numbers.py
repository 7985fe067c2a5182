"""Numbers as people type them: exact, or refused with what to type instead."""

import contextlib
import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec_core.errors import UsageError
from llmrec_core.reading import typed_numbers
from llmrec_core.reading.typed_numbers import as_typed, read_number


def test_examples_in_the_documentation():
    assert not doctest.testmod(typed_numbers).failed


@pytest.mark.parametrize(
    ("text", "value"),
    [("50", 50), ("12,5", 12.5), ("1 000", 1000), ("1.234,5", 1234.5), ("1,234,567", 1234567),
     ("0,001", 0.001), ("99.6", 99.6), ("1e3", 1000), (" 7 ", 7), ("1'000", 1000)],
)  # fmt: skip
def test_points_commas_and_spaces_are_understood(text, value):
    assert read_number(text, "p95") == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1,234", "1234 or as 1.234"),
        ("12x", "is no number"),
        ("inf", "is no number"),
        ("nan", "is no number"),
        ("", "is no number"),
        ("-1", "is -1; expected a number from 0 to 100"),
        ("250", "is 250; expected a number from 0 to 100"),
    ],
)
def test_what_cannot_be_read_in_one_way_is_refused(text, sentence):
    with pytest.raises(UsageError, match=sentence):
        read_number(text, "hit rate", 0, 100)


@given(st.text(max_size=12))
def test_any_text_is_a_finite_number_or_refused(text):
    with contextlib.suppress(UsageError):
        assert 0 <= read_number(text, "x") < float("inf")


@given(st.floats(min_value=1e-9, max_value=1e12))
def test_what_a_field_holds_is_what_was_meant(value):
    assert read_number(as_typed(value), "x") == pytest.approx(value, rel=1e-3)
