"""How far an explanation is: by its budget, or by how the error falls; nothing for quick ones."""

from types import SimpleNamespace

import numpy as np
import pytest

from llmrec_core.explain.steps import noting, people_noting


def so_far(coalitions, seconds=2.0, error=0.04):
    return SimpleNamespace(masks=np.arange(coalitions), seconds=seconds, relative_error=error)


@pytest.mark.parametrize(
    ("budget", "error", "coalitions", "percent"),
    [(400, None, 100, 25), (None, None, 100, 25), (None, 0.04, 100, 100), (None, 0.004, 9, 1)],
)
def test_share_of_the_work(budget, error, coalitions, percent):
    steps = []
    noting(steps.append, budget, error)(so_far(coalitions))
    (step,) = steps
    assert (step.done, step.total) == (percent, 100)


def test_a_quick_answer_notes_nothing():
    steps = []
    noting(steps.append, 400, None)(so_far(100, seconds=0.5))
    assert steps == []


def test_people_are_counted():
    steps = []
    people_noting(steps.append)(3, 30)
    assert (steps[0].done, steps[0].total, steps[0].phase) == (3, 30, "people explained")
