"""Figures in words, and tables that no spreadsheet runs."""

import doctest
import re

import pandas as pd
import pytest

from llmrec_core import money
from llmrec_core.reading import number_format
from llmrec_core.types import Measurement
from tests import messages


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (number_format.duration(0.0123), "12.3 ms"),
        (number_format.duration(0.0006), "0.60 ms"),
        (number_format.duration(2e-6), "2.00 µs"),
        (number_format.duration(90), "90.0 s"),
        (number_format.duration(600), "10.0 min"),
        (number_format.about(0.02), "1 s"),
        (number_format.about(119.4), "119 s"),
        (number_format.about(312.4), "5 min"),
        (number_format.about(7_900), "2 h"),
        (number_format.dollars(12345), "$12,345"),
        (number_format.dollars(28.7), "$28.70"),
        (number_format.dollars(0.003), "< $0.01"),
        (number_format.small_dollars(0.000123), "$0.000123"),
        (number_format.dollars(-0.5), "-$0.50"),
        (number_format.count(22_700_000), "22.7 M"),
        (number_format.flops(1.62e10), "16.2 GFLOP"),
        (number_format.size(91_226_112), "87.0 MiB"),
        (number_format.share(0.5), "50 %"),
        (number_format.share(0.7312), "73.1 %"),
        (number_format.significant(0.000123), "0.000123"),
        (number_format.significant(999_999), "1,000,000"),
    ],
)
def test_values_are_read_in_their_unit(shown, expected):
    assert shown == expected


def test_an_unknown_value_reads_not_measured_with_the_reason():
    assert (
        number_format.figure(Measurement("x", None, "J", reason="no counter"))
        == "not measured: no counter"
    )


def test_cells_that_start_like_formulas_are_made_harmless_and_numbers_stay():
    frame = pd.DataFrame(
        {"=title": ["=1+1", "+a", "-b", "@c", "\td", "\re", "fine"], "value": [-1.5] * 7}
    )
    lines = number_format.to_csv(frame).decode().split("\n")
    assert lines[0] == "'=title,value"
    assert lines[1] == "'=1+1,-1.5"
    assert all(line.startswith(("'", "\"'")) for line in lines[1:7] if line)
    assert lines[-2] == "fine,-1.5"


def test_plain_text_means_nothing_in_markdown():
    hostile = "![x](http://a/b.png) <b> $x$ :red[y] `c`\n# h"
    shown = number_format.plain(hostile)
    assert "\n" not in shown
    for mark in "![]()<>$:`#":
        assert f"\\{mark}" in shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(3, "$3.00"), (0.5, "$0.50"), (0.02, "$0.02"), (0.067, "$0.067"), (0.0123, "$0.0123"),
     (0.00012, "$0.00012"), (0.99951, "$1.00"), (1e-14, "less than $0.000000000001"), (0, "$0.00"),
     (1234.5, "$1,234")],
)  # fmt: skip
def test_a_small_price_keeps_three_digits_and_its_cents(value, shown):
    assert number_format.small_dollars(value) == shown


def test_examples_of_prices():
    assert not doctest.testmod(money).failed


EXPONENT = re.compile(r":[^{}]*e\}|%\.?\d*[eg]\b")


def test_nothing_that_a_person_reads_is_written_with_an_exponent():
    """`language.number` takes the exponent out of `:g`; of `:e` it would be asked for."""
    asked = [message.id for message in messages.collected() if EXPONENT.search(str(message.id))]
    assert asked == []
    fields = [
        f"{file}: {line.strip()}"
        for file in messages.sources()
        if "pages" in file.parts
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.search(r'format="%[^"]*[eg]"', line)
    ]
    assert fields == []


def test_a_sentence_has_the_minus_sign_of_its_numbers():
    assert number_format.signed(-0.012)[0] == number_format.dollars(-3)[0] == "-"
    assert [one.id for one in messages.collected() if "\N{MINUS SIGN}" in str(one.id)] == []
