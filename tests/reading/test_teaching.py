"""What is said of a student: what it learned, and from how many requests on it has paid."""

import dataclasses
import math

import pytest

from llmrec_core.contract.spec import run_from_dict
from llmrec_core.reading import teaching
from llmrec_core.reading.row import Row
from llmrec_core.types import Measurement

BODY = {"run": "The teacher", "people": 1000, "items": 10, "seconds": 90.0, "learned": 0.42}


def row(spec, requests_per_s, train_usd=0.0, **documents):
    """A run that serves so many requests a second on a machine of $3.60 an hour."""
    figures = (
        Measurement("throughput_requests_per_s", requests_per_s, "1/s", protocol="request/100/batch-8"),
        Measurement("train_usd", train_usd, "USD", protocol="run"),
    )  # fmt: skip
    conditions = {"usd_per_hour": 3.6, "utilisation": 1.0}
    return Row(
        spec.name,
        "toy",
        spec.name,
        "finished",
        spec,
        figures,
        {"conditions": conditions} | documents,
    )


@pytest.fixture
def pair():
    teacher = run_from_dict({"name": "The teacher", "recommender": {"family": "item-knn"}})
    student = run_from_dict(
        {
            "name": "The student", "weights_from": "The teacher",
            "recommender": {"family": "distilled-sasrec", "adaptation": "full"},
        }
    )  # fmt: skip
    return row(student, 1000.0, train_usd=0.9, teacher=BODY), row(teacher, 10.0)


def test_it_has_paid_when_the_cheaper_requests_have_saved_its_training(pair):
    student, teacher = pair  # $1 and $100 a million requests
    assert teaching.paid_after(student, teacher) == pytest.approx(0.9 / 99e-6)
    learned, paid = teaching.sentences(student, pair)
    assert "The teacher: 1,000 people's lists of 10 items" in learned
    assert "42 %" in learned
    assert "$1.00 instead of $100.00" in paid
    assert "at $0.90 it has paid for itself after 9,091 requests" in paid


def test_a_student_as_dear_as_its_teacher_never_pays(pair):
    student, teacher = pair
    slow = dataclasses.replace(
        student,
        figures=(dataclasses.replace(student.figures[0], value=10.0), student.figures[1]),
    )
    assert teaching.paid_after(slow, teacher) == math.inf
    assert "never pays for itself" in teaching.sentences(slow, (slow, teacher))[1]


def test_what_was_not_measured_is_not_said(pair):
    student, teacher = pair
    unknown = dataclasses.replace(student.figures[1], value=None, reason="no price")
    unpriced = dataclasses.replace(student, figures=(student.figures[0], unknown))
    assert teaching.paid_after(unpriced, teacher) is None
    assert len(teaching.sentences(unpriced, (unpriced, teacher))) == 1
    assert len(teaching.sentences(student, (student,))) == 1
    assert teaching.sentences(teacher, pair) == []
