"""Tables: numbers sort by value, unknown cells come last, exports hold what the record holds."""

import io

import pandas as pd
import pytest

from llmrec_core.reading import number_format
from llmrec_core.reading.table import UNKNOWN, Column, from_frame, make
from llmrec_core.types import Measurement

WORK = Column("Work", "flops_per_request", number_format.flops)
NAME = Column("Run", "run")


def table():
    values = {"a": 8.82e9, "b": 11.1e6, "c": 80.6e3, "d": None, "e": 0.0, "f": 11.1e6}
    lines = [
        {"Run": name, "Work": Measurement("w", value, "FLOP", reason="no formula")}
        for name, value in values.items()
    ]
    return make((NAME, WORK), lines, list(values))


@pytest.mark.parametrize(
    ("descending", "order"),
    [(False, ["e", "c", "b", "f", "a", "d"]), (True, ["a", "b", "f", "c", "e", "d"])],
)
def test_figures_sort_by_value_with_unknown_last_and_ties_in_their_order(descending, order):
    ordered = table().sorted_by("Work", descending=descending)
    assert ordered.values("Run") == order
    assert list(ordered.ids) == order


def test_text_sorts_by_letters_whatever_their_case():
    lines = [{"Run": name} for name in ("beta", "Alpha", "", "gamma")]
    assert make((NAME,), lines).sorted_by("Run").values("Run") == ["Alpha", "beta", "gamma", ""]


def test_numbers_inside_text_count_as_numbers():
    lines = [{"Run": name} for name in ("item 10", "Item 9", "10", "9", "item")]
    ordered = make((NAME,), lines).sorted_by("Run").values("Run")
    assert ordered == ["9", "10", "item", "Item 9", "item 10"]


def test_text_that_reads_figures_is_ordered_by_unit_and_value():
    read = Column("As read", order=("Unit", "Recorded"))
    columns = (read, Column("Recorded", show=number_format.significant), Column("Unit"))
    cells = (("8.82 GFLOP", 8.82e9, "FLOP"), ("3.00 s", 3.0, "s"), ("11.1 MFLOP", 11.1e6, "FLOP"),
             ("", None, "s"), ("20.0 ms", 0.02, "s"))  # fmt: skip
    lines = [dict(zip(("As read", "Recorded", "Unit"), line, strict=True)) for line in cells]
    ordered = make(columns, lines).sorted_by("As read").values("As read")
    assert ordered == ["11.1 MFLOP", "8.82 GFLOP", "20.0 ms", "3.00 s", ""]


def test_whole_numbers_of_a_frame_count_things_and_are_read_exactly():
    whole = from_frame(pd.DataFrame({"Interactions": [198_502], "Share": [0.123456]}))
    assert whole.read(whole.lines[0]) == ["198,502", "0.123"]


def test_a_cell_is_read_with_its_unit_and_an_unknown_one_is_a_dash():
    assert [table().read(line)[1] for line in table().lines] == [
        "8.82 GFLOP",
        "11.1 MFLOP",
        "80.6 kFLOP",
        UNKNOWN,
        "0 FLOP",
        "11.1 MFLOP",
    ]


def test_the_export_holds_base_units_at_full_precision_and_the_names_of_the_record():
    values = [1 / 3, None, 1e-9]
    whole = make((WORK,), [{"Work": value} for value in values])
    back = pd.read_csv(io.BytesIO(whole.csv()))
    assert list(back.columns) == ["flops_per_request"]
    assert back["flops_per_request"].tolist()[::2] == [1 / 3, 1e-9]
    assert back["flops_per_request"].isna().tolist() == [False, True, False]


def test_columns_that_are_empty_in_all_lines_become_one_sentence_with_the_reason():
    energy = Column("Energy", "energy_j", number_format.energy)
    lines = [
        {"Run": name, "Energy": Measurement("e", None, "J", reason="no counter")} for name in "ab"
    ]
    shown, empty = make((NAME, energy), lines).without_empty_columns()
    assert [column.title for column in shown.columns] == ["Run"]
    assert shown.about_empty(empty) == "Empty in all lines: Energy (no counter)."


def test_the_line_of_a_run_comes_first():
    assert table().first("c").values("Run") == ["c", "a", "b", "d", "e", "f"]
    assert table().top(2).ids == ("a", "b")


def test_two_columns_of_one_title_are_refused():
    with pytest.raises(ValueError, match="one title"):
        make((NAME, NAME), [])


def test_a_data_frame_keeps_its_numbers():
    frame = pd.DataFrame({"Name": ["x", "y"], "Value": [1.5, None], "Sure": [True, False]})
    whole = from_frame(frame)
    assert whole.values("Value") == [1.5, None]
    assert whole.columns[1].show is not None
    assert whole.columns[0].show is whole.columns[2].show is None
    assert whole.frame()["Value"].dtype == "float64"


def test_counts_of_a_data_frame_keep_every_digit():
    frame = pd.DataFrame({"Found": [71234, None], "k": [2, 10], "Share": [0.5, 2.0]})
    whole = from_frame(frame)
    assert [whole.read(line) for line in whole.lines] == [
        ["71,234", "2", "0.500"],
        [UNKNOWN, "10", "2.00"],
    ]
