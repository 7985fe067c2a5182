"""Two runs or more beside each other: paired differences, their order, and what forbids to compare.

Runs are compared over the same people alone: one data set, one protocol, one sample of users. What
was measured on another exam is never paired with them nor ranked among them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.metrics.intervals import Difference
from llmrec_core.metrics.seeds import group_difference
from llmrec_core.reading import number_format
from llmrec_core.reading.people import People, shared
from llmrec_core.reading.row import Row, machine_of

MOST_DIFFERENCES = 10_000
_differences: dict[bytes, Difference] = {}
"""By the digest of the values: several sentences and pages ask for the same one."""


def difference(a: People, b: People, only: Iterable[int] | None = None) -> Difference | None:
    """Paired difference a − b over people and seeds; `None` when too few people are shared.

    Args:
        a: values in 0 … 1 of a run or a group.
        b: of the other one.
        only: user codes of the slice to look at; `None` for all.
    """
    values = shared(a, b, only)
    if values is None:
        return None
    content = hashlib.sha256(repr([part.shape for part in values]).encode())
    for part in values:
        content.update(part.tobytes())
    key = content.digest()
    if key not in _differences:
        if len(_differences) >= MOST_DIFFERENCES:
            _differences.clear()
        _differences[key] = group_difference(*values)
    return _differences[key]


def spread(gap: Difference, digits: int = 3, scale: float = 1.0) -> str:
    """The interval of a difference in words; rows that agree on every user are called the same."""
    if not gap.differing:
        return t("the same for every user")
    low, high = (number_format.signed(scale * end, digits) for end in (gap.low, gap.high))
    return t("{low} to {high}", low=low, high=high)


def distinguishable(gap: Difference | None) -> bool:
    """Whether the paired interval excludes 0."""
    return gap is not None and gap.distinguishable


Exam = tuple[str, str, int, int]
"""Data set, its content, size and seed of the sample of users."""


def exam_of(row: Row) -> Exam:
    """On whom and on what a run was measured."""
    protocol = row.spec.protocol
    return row.spec.data.name, row.spec.data.content_hash, protocol.users, protocol.seed


def one_exam(rows: Sequence[Row]) -> list[Row]:
    """The rows measured on the exam that most of them share; of equally many, the first."""
    if not rows:
        return []
    ((exam, _),) = Counter(map(exam_of, rows)).most_common(1)
    return [row for row in rows if exam_of(row) == exam]


def other_exams(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Name and reason of the rows that `one_exam` leaves out."""
    kept = {row.run_id for row in one_exam(rows)}
    return [
        (row.name, t("measured on {exam}", exam=exam_words(row)))
        for row in rows
        if row.run_id not in kept
    ]


def exam_words(row: Row) -> str:
    """Data set and sample of users in one phrase."""
    name, content, users, seed = exam_of(row)
    sample = t("{users} users, seed {seed}", users=users, seed=seed) if users else t("all users")
    return t("{data} {content}, {sample}", data=name, content=content[:8], sample=sample)


def why_not_paired(first: Row, second: Row, *, same_people: bool = True) -> str:
    """Why two runs say nothing against each other, in a sentence; empty where they do.

    Args:
        first: a run.
        second: the other.
        same_people: whether they must have been asked about one sample of users; what is said of
            one person, or of no person, needs one data set and one protocol alone.
    """
    ours, theirs = (exam_of(row) if same_people else exam_of(row)[:2] for row in (first, second))
    if ours != theirs:
        return t(
            "Not compared: {first} was measured on {one}, {second} on {other}.",
            first=first.name,
            one=exam_words(first),
            second=second.name,
            other=exam_words(second),
        )
    under = [row.protocols or (row.spec.protocol.name,) for row in (first, second)]
    if set(under[0]) & set(under[1]):
        return ""
    return t(
        "Not compared: {first} was measured under {one}, {second} under {other}.",
        first=first.name,
        one=", ".join(under[0]),
        second=second.name,
        other=", ".join(under[1]),
    )


def require_pair(first: Row, second: Row, *, same_people: bool = True) -> None:
    """Refuse two runs that say nothing against each other.

    Args:
        first: a run.
        second: the other.
        same_people: as for `why_not_paired`.

    Raises:
        UsageError: with the reason.
    """
    reason = why_not_paired(first, second, same_people=same_people)
    if reason:
        raise UsageError(reason)


def comparability(rows: Sequence[Row], protocol: str) -> list[str]:
    """What a reader of these rows beside each other must know, a sentence each."""
    measured = [row for row in rows if protocol in row.protocols]
    missing = [
        row.name for row in rows if row.state == "finished" and protocol not in row.protocols
    ]
    warnings = []
    if missing:
        warnings.append(
            t(
                "Not measured under {protocol}, so not drawn: {missing}.",
                protocol=protocol,
                missing=", ".join(missing),
            )
        )
    warnings += [
        t("Not compared: {name}, {reason}.", name=name, reason=reason)
        for name, reason in other_exams(measured)
    ]
    machines = _apart(one_exam(measured), machine_of)
    if len(machines) > 1:
        parts = "; ".join(
            t("{machine}: {names}", machine=machine or t("unknown"), names=", ".join(names))
            for machine, names in machines.items()
        )
        warnings.append(t("Costs come from several machines ({parts}).", parts=parts))
    return warnings


def _apart(rows: Sequence[Row], of: Callable[[Row], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for row in rows:
        groups.setdefault(of(row), []).append(row.name)
    return groups


def best_first(rows: Sequence[Row], metric: str, protocol: str, slice: str = "all") -> list[Row]:
    """Rows with a value of a metric, best first; only those of one exam.

    Args:
        rows: of the study.
        metric: e.g. `ndcg@10`.
        protocol: e.g. `loo/100-uniform`.
        slice: of the users.
    """
    values = {row.run_id: row.figure(metric, protocol, slice).value for row in rows}
    measured = one_exam([row for row in rows if values[row.run_id] is not None])
    return sorted(measured, key=lambda row: -(values[row.run_id] or 0.0))
