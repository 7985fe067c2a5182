"""A person pauses the queue, lets it go on, and puts a run first."""

import dataclasses

import pytest

from llmrec_core.contract.spec import run_from_dict
from llmrec_core.contract.spec_files import StudySpec
from llmrec_core.errors import UsageError


def study(*names):
    return StudySpec(
        "s",
        "S",
        tuple(
            run_from_dict(
                {"name": name, "minutes": place + 1.0, "recommender": {"family": "ease",
                 "options": {"l2": place + 1.0}}}
            )
            for place, name in enumerate(names)
        ),
    )  # fmt: skip


def test_a_paused_queue_hands_out_nothing_until_it_goes_on(any_ledger):
    any_ledger.add_study(study("a", "b"))
    assert any_ledger.pause_queue("s") == 2
    assert any_ledger.claim("w") is None
    assert {run.state for run in any_ledger.runs("s")} == {"paused"}
    assert any_ledger.resume_queue("s") == 2
    assert any_ledger.claim("w") is not None


def test_pausing_stops_no_run_that_works_and_touches_no_other_study(any_ledger):
    any_ledger.add_study(study("a", "b"))
    lease = any_ledger.claim("w")
    any_ledger.enqueue(run_from_dict({"name": "else"}), "other")
    assert any_ledger.pause_queue("s") == 1
    states = {run.name: run.state for run in any_ledger.runs()}
    assert states == {"a": "running", "b": "paused", "else": "queued"}
    any_ledger.renew(lease)  # it still holds its run


def test_a_run_that_is_put_first_is_next_whatever_it_costs(any_ledger):
    any_ledger.add_study(study("cheap", "middle", "dear"))
    ids = {run.name: run.id for run in any_ledger.runs("s")}
    any_ledger.put_first(ids["dear"])
    assert any_ledger.claim("w").run_id == ids["dear"]
    any_ledger.put_first(ids["middle"])
    assert any_ledger.claim("w").run_id == ids["middle"]
    with pytest.raises(UsageError, match="is running; only a queued run"):
        any_ledger.put_first(ids["middle"])


def test_a_study_in_file_order_is_taken_as_it_stands(any_ledger):
    cheap_last = dataclasses.replace(study("a", "b", "c"), in_file_order=True)
    cheap_last = dataclasses.replace(cheap_last, runs=cheap_last.runs[::-1])
    any_ledger.add_study(cheap_last)
    names = {run.id: run.name for run in any_ledger.runs("s")}
    taken = [names[any_ledger.claim(worker).run_id] for worker in ("v", "w", "x")]
    assert taken == ["c", "b", "a"]  # the cheapest, a, stands last in the file
