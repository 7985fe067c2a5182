"""Marks on charts: a colour for every kind of recommender, a shape for every precision."""

from itertools import combinations
from typing import get_args

import numpy as np
import pytest

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


SEEN_WITHOUT = {
    "nothing": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    "red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "blue": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""Linear RGB as seen by a person who lacks one kind of cone (Machado, Oliveira, Fernandes, 2009, severity 1)."""
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def lab(colour: str, seen: list[list[float]]) -> np.ndarray:
    """CIE L*a*b* (1976, D65) of a colour as somebody sees it."""
    srgb = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    ratio = XYZ @ np.clip(np.array(seen) @ linear, 0, 1) / [0.95047, 1.0, 1.08883]
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("lacks", SEEN_WITHOUT)
def test_colours_are_told_apart_by_readers_who_do_not_see_all_of_them(lacks):
    marks = {*chart_symbols.COLOURS.values()}
    for set_of_marks in (marks, {chart_symbols.FOR, chart_symbols.AGAINST, chart_symbols.WHOLE}):
        for one, other in combinations(sorted(set_of_marks), 2):
            apart = np.linalg.norm(lab(one, SEEN_WITHOUT[lacks]) - lab(other, SEEN_WITHOUT[lacks]))
            assert apart > 20, f"{one} and {other} are {apart:.0f} apart"


def test_a_reader_of_prompts_is_told_by_backbone_and_depth():
    spec = make("a", "cross-encoder", "minilm-l6", depth=2).spec.recommender
    assert chart_symbols.size_label(spec) == "minilm-l6, 2 layers"
    assert chart_symbols.size_label(make("b").spec.recommender) == "EASE"
    assert chart_symbols.colour(spec) != chart_symbols.colour(make("b").spec.recommender)
