"""Runs that differ in their seed alone, read as one row.

A trained model is one draw of its training, so its seeds are repetitions of one thing.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Collection, Sequence

import numpy as np
from scipy.special import stdtrit

from llmrec_core.language import t
from llmrec_core.metrics.intervals import TAILS
from llmrec_core.reading.row import Row
from llmrec_core.types import Measurement

_SEED_IN_NAME = re.compile(r"[,:]?\s*\(?\bseed\s*\d+\)?$", re.IGNORECASE)


def name_without_seed(name: str) -> str:
    """The name of a run's group: "SASRec, seed 2" → "SASRec"."""
    return _SEED_IN_NAME.sub("", name)


def grouped(rows: Sequence[Row]) -> list[Row]:
    """One row for each group of finished runs that differ in the seed alone; others as they are.

    A group has the identity of its first run and stands in that run's place.
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(recipe(row, rows), []).append(row)
    return [_summary(members) if len(members) > 1 else members[0] for members in groups.values()]


def recipe(row: Row, rows: Sequence[Row], leaving_out: Collection[str] = ()) -> str:
    """Everything that decides a run but its seed; a run that has not finished is alone.

    A run that is made from another one has that one's recipe in the place of its name.

    Args:
        row: of the study.
        rows: all of it, or one row for those that differ in their seed alone.
        leaving_out: fields of `recommender` that do not count either.
    """
    if row.state != "finished":
        return row.run_id
    body = row.spec.to_dict()
    for name in ("name", "minutes", "seed"):
        del body[name]
    for name in leaving_out:
        del body["recommender"][name]
    source = next((other for other in rows if other.spec.name == row.spec.weights_from), None)
    if source is not None:
        body["weights_from"] = recipe(source, rows, leaving_out) if source is not row else ""
    return json.dumps(body, sort_keys=True, default=str)


def _summary(members: Sequence[Row]) -> Row:
    first = members[0]
    names = {name_without_seed(row.name) for row in members}
    name = names.pop() if len(names) == 1 else first.name
    keys = dict.fromkeys(
        (figure.name, figure.protocol, figure.slice) for row in members for figure in row.figures
    )
    return dataclasses.replace(
        first,
        name=t("{name} ({seeds} seeds)", name=name, seeds=len(members)),
        figures=tuple(_mean(members, *key) for key in keys),
        members=tuple(members),
    )


def _mean(members: Sequence[Row], name: str, protocol: str, slice_name: str) -> Measurement:
    """A figure's mean over the runs; the interval of a quality metric covers people and seeds."""
    figures = [row.figure(name, protocol, slice_name) for row in members]
    values = [figure.value for figure in figures if figure.value is not None]
    if len(values) < len(figures):
        return next(figure for figure in figures if figure.value is None)
    mean = float(np.mean(values))
    ends = [
        (figure.value - figure.low, figure.high - figure.value)
        for figure in figures
        if figure.value is not None and figure.low is not None and figure.high is not None
    ]
    low = high = None
    if len(ends) == len(figures):
        below, above = np.mean(ends, axis=0)
        from_seeds = _reach_of_seeds(values)
        low = mean - math.hypot(below, from_seeds)
        high = mean + math.hypot(above, from_seeds)
        if figures[0].unit == "1":
            low, high = max(0.0, low), max(min(1.0, high), mean)
    return dataclasses.replace(figures[0], value=mean, low=low, high=high)


def _reach_of_seeds(values: Sequence[float]) -> float:
    """Half the 95 % interval of a mean over seeds: Student's t on one seed less."""
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return error * float(stdtrit(len(values) - 1, TAILS[1]))
