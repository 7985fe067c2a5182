"""Names of runs that nobody can mix up: where several have one name, what differs follows it.

A run is known by its id everywhere; its name is a label for a reader. Two runs of one name differ
in study, data, protocol, seed or some other field of their specs, or at least in their ids.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from llmrec_core.language import t
from llmrec_core.reading.row import Row

_UNSAID = ("name", "minutes", "weights_from")
"""Fields that do not tell two runs apart for a reader."""
_MOST = 3
"""Differences that are named; the id tells the rest."""


def distinct(rows: Sequence[Row]) -> list[Row]:
    """The rows, with names that are different from each other."""
    twins: dict[str, list[Row]] = {}
    for row in rows:
        twins.setdefault(row.name, []).append(row)
    labels: dict[str, str] = {}
    for name, same in twins.items():
        if len(same) > 1:
            bodies = [described(row.study, row.spec.to_dict()) for row in same]
            words = differences([row.run_id for row in same], bodies)
            for row, word in zip(same, words, strict=True):
                labels[row.run_id] = t("{name} ({difference})", name=name, difference=word)
    return [
        dataclasses.replace(row, name=labels[row.run_id]) if row.run_id in labels else row
        for row in rows
    ]


def described(study: str, spec: Mapping[str, Any]) -> dict[str, str]:
    """Study and fields of a spec as flat text, `data.name` style."""
    return {"study": study} | {
        name: str(value) for name, value in flat(spec).items() if name not in _UNSAID
    }


def flat(body: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested fields as one level, `recommender.depth` style."""
    fields: dict[str, Any] = {}
    for name, value in body.items():
        if isinstance(value, Mapping) and value:
            fields |= flat(value, f"{prefix}{name}.")
        else:
            fields[prefix + name] = value
    return fields


def differences(ids: Sequence[str], bodies: Sequence[Mapping[str, str]]) -> list[str]:
    """For each of some runs of one name, what tells it from the others, in words.

    Args:
        ids: of the runs.
        bodies: of the runs, as `described`.
    """
    names = list(dict.fromkeys(name for body in bodies for name in body))
    differing = [name for name in names if len({body.get(name, "") for body in bodies}) > 1]
    words = []
    for body in bodies:
        parts = [
            t("{field} {value}", field=name.rpartition(".")[2], value=body.get(name) or t("none"))
            for name in differing[:_MOST]
        ]
        words.append(", ".join(parts))
    if len(set(words)) < len(words):
        words = [
            t("{difference}, id {id}", difference=word, id=run_id[:8]) if word else run_id[:8]
            for word, run_id in zip(words, ids, strict=True)
        ]
    return words
