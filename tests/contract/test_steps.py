"""How far work is, is read by the words of its question, and by no others."""

from __future__ import annotations

import pytest

from llmrec_core.contract.steps import Step, noting_steps, step_of


def test_a_step_is_read_by_the_words_of_the_question_as_long_as_the_work_lasts(settings):
    asked = {"model": "small", "batches": (1, 8)}
    step = Step(done=1, total=4, phase="timing")
    with noting_steps("profile", asked, settings) as note:
        assert step_of("profile", asked, settings) is None
        note(step)
        # The ledger gives lists back for tuples, and fields in an order of its own.
        stored = {"batches": [1, 8], "model": "small"}
        assert step_of("profile", stored, settings) == step
        assert step_of("profile", stored | {"model": "large"}, settings) is None
        assert step_of("diagnose", stored, settings) is None
    assert step_of("profile", asked, settings) is None


def test_what_a_killed_worker_left_says_nothing_about_the_next_answer(settings):
    killed = noting_steps("meters", {}, settings)
    killed.__enter__()(Step(done=3, total=4, phase="almost done"))
    with noting_steps("meters", {}, settings):
        assert step_of("meters", {}, settings) is None


def test_nothing_is_left_when_the_work_fails(settings):
    with pytest.raises(ZeroDivisionError), noting_steps("meters", {}, settings) as note:
        note(Step(done=0, total=1, phase="dividing"))
        raise ZeroDivisionError
    assert step_of("meters", {}, settings) is None
