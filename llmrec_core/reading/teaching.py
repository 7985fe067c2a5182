"""What a student learned from its teacher, and after how many requests that has paid, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from llmrec_core.language import t
from llmrec_core.ledger.weights_source import BEST
from llmrec_core.reading import number_format
from llmrec_core.reading.pricing import AS_RECORDED, Pricing, usd_per_million
from llmrec_core.reading.row import Row


def paid_after(student: Row, teacher: Row, pricing: Pricing = AS_RECORDED) -> float | None:
    """Requests after which a student has cost less than its teacher serving them.

    (price of the student's training, the teacher's lists included) ÷ (difference of the prices of a
    request). The teacher's own training is paid either way. Infinite where the student's requests
    cost as much or more; None where a price was not measured.

    Args:
        student: a run with a teacher.
        teacher: the run that taught it.
        pricing: what an hour costs.
    """
    costs = _costs(student, teacher, pricing)
    return None if costs is None else _requests(*costs)


def _costs(student: Row, teacher: Row, pricing: Pricing) -> tuple[float, float, float] | None:
    """Dollars of the training, and of a million requests to both; None where one is unknown."""
    training = student.figure("train_usd").value
    own, dear = (usd_per_million(row, pricing).value for row in (student, teacher))
    return None if training is None or own is None or dear is None else (training, own, dear)


def _requests(training: float, own: float, dear: float) -> float:
    return training / (dear - own) * 1e6 if dear > own else math.inf


def sentences(row: Row, rows: Sequence[Row], pricing: Pricing = AS_RECORDED) -> list[str]:
    """What was learned, and what it costs against the teacher; none for a run without a teacher.

    Args:
        row: the run.
        rows: all of its study, the teacher among them.
        pricing: what an hour costs.
    """
    body = row.documents.get("teacher")
    if not body:
        return []
    teacher = _teacher(row, body, rows)
    costs = None if teacher is None else _costs(row, teacher, pricing)
    if costs is None:
        return [_learned(body)]
    training, own, dear = costs
    requests = _requests(training, own, dear)
    prices = {
        "student": number_format.small_dollars(own),
        "teacher": number_format.small_dollars(dear),
    }
    if math.isinf(requests):
        paid = t(
            "A million requests cost {student}, no less than the {teacher} of its teacher: it "
            "never pays for itself.",
            **prices,
        )
    else:
        paid = t(
            "A million requests cost {student} instead of {teacher}; with its training, lists "
            "included, at {training} it has paid for itself after {requests} requests.",
            training=number_format.small_dollars(training),
            requests=number_format.count(math.ceil(requests)),
            **prices,
        )
    return [_learned(body), paid]


def _learned(body: Mapping[str, Any]) -> str:
    return t(
        "It was taught by {teacher}: {people} people's lists of {items} items, made in {duration}; "
        "{share} of what is on them is on its own lists too.",
        teacher=body["run"],
        people=number_format.count(body["people"]),
        items=body["items"],
        duration=number_format.duration(body["seconds"]),
        share=number_format.share(body["learned"]),
    )


def _teacher(row: Row, body: Mapping[str, Any], rows: Sequence[Row]) -> Row | None:
    """The run that taught, by the name that the spec gives or the record found for it."""
    wanted = row.spec.weights_from
    name = str(body["run"]) if wanted.startswith(BEST) else wanted
    return next((other for other in rows if other.name == name and other is not row), None)
