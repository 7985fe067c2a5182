"""About how long a check takes on this machine, from what was measured on it; `None` is not known.

An earlier document of the same check says it best. Without one, a run's own latency does, times
the requests that the check makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llmrec_core.checks.checked_families import OF_SPLIT, usual_families
from llmrec_core.checks.noise import OF_HISTORIES, OF_TITLES, reads_titles
from llmrec_core.contract.requests import CheckDataRequest, LabelCurveRequest
from llmrec_core.data.dataset import Dataset
from llmrec_core.profiling.device import Device
from llmrec_core.reading.row import Row, candidates_of


def of_robustness(
    row: Row, users: int, machine: Device, earlier: Mapping[str, Any] | None
) -> float | None:
    """Seconds that the robustness of a run takes.

    Args:
        row: the run.
        users: people asked, under each noise.
        machine: this one; what a run measured on another machine says nothing.
        earlier: the run's `robustness` document, if it has one.
    """
    if not _is_of(row, machine):
        return None
    if earlier and earlier.get("seconds") and earlier.get("users"):
        return float(earlier["seconds"]) * users / int(earlier["users"])
    passes = 1 + len(OF_HISTORIES) + (len(OF_TITLES) if reads_titles(row.spec) else 0)
    return _asking_s(row, passes * users)


def of_policy(
    row: Row, users: int, machine: Device, earlier: Mapping[str, Any] | None
) -> float | None:
    """Seconds that the effect of a policy on a run takes.

    Args:
        row: the run.
        users: people asked.
        machine: this one; what a run measured on another machine says nothing.
        earlier: the run's `policy` document, if it has one.
    """
    if not _is_of(row, machine):
        return None
    if earlier and earlier.get("scoring_s") is not None:
        each = float(earlier["scoring_s"]) + float(earlier["policy_s"])
        return users * each + float(earlier.get("titles_read_s") or 0.0)
    return _asking_s(row, users)


def of_label_curve(
    question: LabelCurveRequest, curves: Iterable[Mapping[str, Any]]
) -> float | None:
    """Seconds that a label curve takes, by curves of the same data and training.

    Args:
        question: what is asked.
        curves: the stored ones of this machine; a method in none of them makes it unknown.
    """
    alike = ("data", "users", "steps", "depth")
    each: dict[str, float] = {}
    for curve in curves:
        plan = curve.get("plan") or {}
        if all(plan.get(name) == getattr(question, name) for name in alike):
            each |= curve.get("point_s") or {}
    if any(method not in each for method in question.methods):
        return None
    points = len(question.labels) * question.seeds
    return points * sum(each[method] for method in question.methods)


def of_data_check(
    question: CheckDataRequest, dataset: Dataset, earlier: Mapping[str, Any] | None
) -> float | None:
    """Seconds that the checks of a data set take, by earlier ones of the same protocol.

    Args:
        question: what is asked.
        dataset: which is checked; no more people are asked than it has.
        earlier: the document of this content, if there is one; one of other families says nothing.
    """
    if not earlier or earlier.get("protocol") != f"{question.split}/{question.candidates}":
        return None
    families = {row["subject"] for row in earlier["rows"]} - {OF_SPLIT}
    if families != set(usual_families(dataset)) or not earlier.get("users"):
        return None
    people = min(question.users, dataset.n_users)
    return float(earlier["seconds"]) * people / int(earlier["users"])


def in_all(seconds: Sequence[float | None]) -> float | None:
    """The sum; `None` where a part is not known."""
    return None if None in seconds else sum(part for part in seconds if part is not None)


def _is_of(row: Row, machine: Device) -> bool:
    return row.device.get("name") == machine.name


def _asking_s(row: Row, requests: int) -> float | None:
    """Seconds of so many requests with the candidates of the run's protocol."""
    figure = row.request_time
    if figure.value is None:
        return None
    timed, asked = figure.protocol.split("/")[1], candidates_of(row.spec.protocol.name)
    more = int(asked) / int(timed) if asked.isdigit() and timed.isdigit() else 1.0
    return requests * figure.value * more
