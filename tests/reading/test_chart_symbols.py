"""Marks on charts: a colour for every kind of recommender, a shape for every precision."""

from typing import get_args

from llmrec_core.contract.families import families
from llmrec_core.contract.family import Group
from llmrec_core.contract.spec import Precision
from llmrec_core.reading import chart_symbols
from tests.reading.rows import make

PAGES = ("#ffffff", "#11141c")


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """Contrast ratio (WCAG 2.2, 1.4.11)."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_every_group_and_every_precision_has_a_mark_of_its_own():
    assert set(get_args(Group)) == set(chart_symbols.COLOURS) == set(chart_symbols.TITLES)
    assert len(set(chart_symbols.COLOURS.values())) == len(chart_symbols.COLOURS)
    assert set(get_args(Precision)) <= set(chart_symbols.SHAPES)
    assert len(set(chart_symbols.SHAPES.values())) == len(chart_symbols.SHAPES)
    assert {family.group for family in families().values()} <= set(chart_symbols.COLOURS)


def test_marks_stand_out_on_a_white_and_on_a_dark_page():
    for group, colour in chart_symbols.COLOURS.items():
        assert min(contrast(colour, page) for page in PAGES) >= 3, group


def test_a_reader_of_prompts_is_told_by_backbone_and_depth():
    spec = make("a", "cross-encoder", "minilm-l6", depth=2).spec.recommender
    assert chart_symbols.size_label(spec) == "minilm-l6, 2 layers"
    assert chart_symbols.size_label(make("b").spec.recommender) == "EASE"
    assert chart_symbols.colour(spec) != chart_symbols.colour(make("b").spec.recommender)
