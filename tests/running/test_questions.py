"""Questions overtake a study, share one warm process, and stay out of timing windows."""

from __future__ import annotations

import threading
import time

import pytest

from llmrec_core.contract.requests import MEASUREMENT_LIMIT_S
from llmrec_core.running.turns import Turns
from tests.running.workers import add, wait_for

pytestmark = pytest.mark.usefixtures("stand_ins")


def test_questions_overtake_a_study_and_share_one_warm_process(any_settings, any_ledger, start):
    first, *_ = add(any_ledger, a={"steps": 60, "step_s": 0.1}, b={}, c={})
    start()
    wait_for(lambda: (any_ledger.run(first).progress_done or 0) >= 1)
    ids = [any_ledger.request("echo", {"number": number}) for number in range(2)]
    wait_for(lambda: all(any_ledger.answer(request).state == "finished" for request in ids))
    assert any_ledger.run(first).state == "running"
    answers = [any_ledger.answer(request).answer for request in ids]
    assert [(answer["payload"]["number"], answer["asked"]) for answer in answers] == [
        (0, 1),
        (1, 2),
    ]

    sentences = {
        "nonsense": "unknown question 'nonsense'; expected echo",
        "bug": "KeyError: 'x'",
        "die": "the helper ended",
    }
    for kind, sentence in sentences.items():
        request = any_ledger.request(kind, {})
        wait_for(lambda request=request: any_ledger.answer(request).state == "failed")
        assert sentence in any_ledger.answer(request).error
    request = any_ledger.request("echo", {})
    wait_for(lambda: any_ledger.answer(request).state == "finished")  # a new helper took over


def test_a_question_that_is_given_up_ends_at_once_and_the_next_is_answered(
    any_settings, any_ledger, start
):
    start()
    long = any_ledger.request("echo", {"seconds": 120.0})
    wait_for(lambda: any_ledger.answer(long).state == "running")
    following = any_ledger.request("echo", {"number": 2})
    assert any_ledger.cancel_request(long)
    wait_for(lambda: any_ledger.answer(following).state == "finished")
    assert any_ledger.answer(following).answer["asked"] == 1, "in a new process"
    assert any_ledger.answer(long).state == "cancelled"


def test_question_waits_for_the_end_of_a_timing_window(any_settings, any_ledger, start):
    (run_id,) = add(any_ledger, a={"steps": 1, "window_s": 2.0})
    start()
    wait_for(lambda: any_ledger.run(run_id).progress_done == 1)
    request = any_ledger.request("echo", {"seconds": 0.2})
    wait_for(
        lambda: (
            any_ledger.answer(request).state == "finished"
            and any_ledger.run(run_id).state == "finished"
        )
    )
    window, asked = any_ledger.document(run_id, "window"), any_ledger.answer(request).answer
    assert asked["began"] >= window["ended"] or asked["ended"] <= window["began"]


def test_training_gives_way_to_a_question(tmp_path):
    """Two processes' locks: while one goes first, the other waits at its next step; not inside its own window."""
    run, helper = Turns(tmp_path), Turns(tmp_path)
    assert run.give_way() < 0.1
    with run.alone():
        assert run.give_way() == 0.0
    with helper.alone(first=True):
        threading.Timer(0.3, lambda: None).start()
        waited: list[float] = []
        thread = threading.Thread(target=lambda: waited.append(run.give_way()))
        thread.start()
        time.sleep(0.3)
        assert not waited
    thread.join()
    assert waited[0] >= 0.25
    run.close()
    helper.close()


def test_a_profile_has_a_line_of_its_own_and_keeps_no_question_waiting(
    any_settings, any_ledger, start
):
    long = any_ledger.request("profile", {"load_s": 120.0, "window_s": 0.0})
    start()
    wait_for(lambda: any_ledger.answer(long).state == "running")
    waiting = any_ledger.request("profile", {"load_s": 0.0, "window_s": 0.5})
    question = any_ledger.request("echo", {})
    assert any_ledger.questions_before(question) == 0, "profiles are not before it"
    wait_for(lambda: any_ledger.answer(question).state == "finished")
    assert any_ledger.answer(long).state == "running"
    assert any_ledger.answer(waiting).state == "queued"
    later = any_ledger.request("profile", {"load_s": 0.0, "window_s": 0.0})
    assert any_ledger.questions_before(later) == 1
    assert any_ledger.cancel_request(long)
    wait_for(lambda: any_ledger.answer(later).state == "finished")
    assert any_ledger.answer(waiting).answer["limit_s"] == MEASUREMENT_LIMIT_S


def test_a_question_waits_for_a_profile_s_window_alone(any_settings, any_ledger, start):
    start()
    profile = any_ledger.request("profile", {"load_s": 0.0, "window_s": 3.0})
    wait_for(lambda: any_ledger.answer(profile).state == "running")
    time.sleep(1.0)
    question = any_ledger.request("echo", {"seconds": 0.2})
    both = [profile, question]
    wait_for(lambda: all(any_ledger.answer(one).state == "finished" for one in both))
    window, asked = (any_ledger.answer(one).answer for one in both)
    assert asked["began"] >= window["ended"] or asked["ended"] <= window["began"]


def test_training_waits_while_a_measurement_has_its_window(any_settings, any_ledger, start):
    """Its seconds would be those of a machine that also trains."""
    (run_id,) = add(any_ledger, a={"steps": 400, "step_s": 0.05})
    start()
    wait_for(lambda: (any_ledger.run(run_id).progress_done or 0) >= 1)
    profile = any_ledger.request("profile", {"load_s": 0.0, "window_s": 4.0})
    wait_for(lambda: any_ledger.answer(profile).state == "running")
    time.sleep(1.5)
    before = any_ledger.run(run_id).progress_done
    time.sleep(1.5)
    assert any_ledger.answer(profile).state == "running", "its window is still open"
    assert any_ledger.run(run_id).progress_done == before
    wait_for(lambda: (any_ledger.run(run_id).progress_done or 0) > before)
    assert any_ledger.cancel(run_id)
