"""Whether a language model leads where labels are few, by the label curves of a data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llmrec_core.checks.label_methods import METHODS, TITLES
from llmrec_core.language import t
from llmrec_core.ledger.owners import base_name
from llmrec_core.reading import number_format
from llmrec_core.retelling import retold

LANGUAGE = {TITLES[name] for name, body in METHODS.items() if body["recommender"].get("backbone")}
"""Methods that read text with a language model, as a curve names them."""


def sentence(curves: Iterable[Mapping[str, Any]], data: str) -> str:
    """With how many labels a language model leads, in a sentence; empty without such a curve.

    It leads where its interval lies above the best other method's; the two are not paired. Curves
    are measured under conditions of their own, so one is read: that with the most to compare.

    Args:
        curves: as `label_files` keeps them.
        data: name of the data set that is asked about.
    """
    of_data = (
        _compared(body["rows"])
        for body in curves
        if base_name(str(body.get("plan", {}).get("data", ""))) == base_name(data)
    )
    compared = max(of_data, key=len, default={})
    if not compared:
        return ""
    ahead = [labels for labels, (mine, theirs) in compared.items() if mine["low"] > theirs["high"]]
    shown = ahead or [min(compared)]
    mine, theirs = compared[shown[0]]
    values = {
        "labels": ", ".join(map(number_format.whole, shown)),
        "language": retold(str(mine["method"])),
        "mine": number_format.significant(mine["value"]),
        "classical": retold(str(theirs["method"])),
        "theirs": number_format.significant(theirs["value"]),
    }
    if ahead:
        return t(
            "With few labels a language model leads (of {labels}): {language} makes {mine} where "
            "{classical} makes {theirs}.",
            **values,
        )
    return t(
        "With few labels no language model leads: of {labels}, {language} makes {mine} where "
        "{classical} makes {theirs}.",
        **values,
    )


Pair = tuple[Mapping[str, Any], Mapping[str, Any]]


def _compared(rows: Sequence[Mapping[str, Any]]) -> dict[int, Pair]:
    """Number of labels → the best row with a language model and the best without."""
    return {
        labels: pair
        for labels in sorted({row["labels"] for row in rows})
        if (pair := _best_of_each([row for row in rows if row["labels"] == labels])) is not None
    }


def _best_of_each(rows: Sequence[Mapping[str, Any]]) -> Pair | None:
    """The best row with a language model and the best without; `None` where one is missing."""
    mine = [row for row in rows if row["method"] in LANGUAGE]
    theirs = [row for row in rows if row["method"] not in LANGUAGE]
    if not mine or not theirs:
        return None
    return max(mine, key=lambda row: row["value"]), max(theirs, key=lambda row: row["value"])
