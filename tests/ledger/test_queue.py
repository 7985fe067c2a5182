"""Leases, fencing, retries and order, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from llmrec_core.contract.spec import RecommenderSpec, RunSpec
from llmrec_core.contract.spec_files import StudySpec
from llmrec_core.errors import UsageError
from llmrec_core.ledger.claims import MAX_LOSSES
from llmrec_core.ledger.leases import MAX_RETRIES
from llmrec_core.ledger.ledger import LeaseLostError, Ledger
from llmrec_core.types import Measurement


def add(ledger: Ledger, *runs: RunSpec) -> list[str]:
    return ledger.add_study(StudySpec("s", "S", runs))


def run(name: str, **fields: object) -> RunSpec:
    return RunSpec(name=name, **{"seed": sum(name.encode()), **fields})


def claimed(ledger: Ledger) -> list[str]:
    names = []
    while (lease := ledger.claim("w")) is not None:
        names.append(ledger.run(lease.run_id).name)
    return names


class Clock:
    """A monotonic clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def go(self, seconds: float, look: Callable[[], object]) -> None:
        """Move on in small steps, with a look at every one, as a worker that polls does."""
        for _ in range(8):
            self.now += seconds / 8
            look()


def test_order_is_priority_then_cheap_then_position(any_ledger):
    add(any_ledger, run("dear", minutes=5), run("cheap", minutes=1), run("cheap too", minutes=1))
    any_ledger.enqueue(run("asked for"), "mine", priority=1)
    assert claimed(any_ledger) == ["asked for", "cheap", "cheap too", "dear"]


@pytest.mark.threat("two-workers")
def test_parallel_claims_never_share_a_run(any_ledger, any_settings):
    ids = add(any_ledger, *(RunSpec(name=f"r{number}", seed=number) for number in range(40)))
    found: list[str] = []

    def work(name: str) -> None:
        mine = Ledger.open(any_settings)
        while (lease := mine.claim(name)) is not None:
            found.append(lease.run_id)
            mine.finish(lease, [])
        mine.close()

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(ids)


@pytest.mark.threat("two-workers")
def test_silent_worker_loses_its_run_and_may_not_write(any_ledger):
    add(any_ledger, run("a"))
    clock = any_ledger.silence.monotonic = Clock()
    frozen = any_ledger.claim("w1")
    assert any_ledger.claim("w2") is None
    clock.go(any_ledger.settings.lease_s + 1, any_ledger.free_silent_runs)
    later = any_ledger.claim("w2")
    assert (later.run_id, later.attempt) == (frozen.run_id, 2)
    # it wakes: every write of its attempt changes nothing
    writes = [
        lambda: any_ledger.renew(frozen),
        lambda: any_ledger.report(frozen, lines=["late"]),
        lambda: any_ledger.finish(frozen, [Measurement("mrr", 0.1, "1")]),
        lambda: any_ledger.fail(frozen, "bug", "late"),
        lambda: any_ledger.put_back(frozen),
    ]
    for write in writes:
        with pytest.raises(
            LeaseLostError, match="attempt 1 of worker w1 no longer holds the lease"
        ):
            write()
    any_ledger.finish(later, [Measurement("mrr", 0.2, "1")])
    assert any_ledger.measurements([later.run_id])["value"].tolist() == [0.2]
    assert any_ledger.logs(later.run_id) == []


@pytest.mark.threat("clock-skew")
def test_live_worker_keeps_its_run_whatever_the_clocks_say(any_ledger):
    """Only a heartbeat that stands still for a lease frees a run; the time of day is never looked at."""
    add(any_ledger, run("a"))
    clock = any_ledger.silence.monotonic = Clock()
    lease = any_ledger.claim("w1")
    for _ in range(5):
        assert any_ledger.claim("w2") is None
        clock.go(any_ledger.settings.lease_s * 0.9, any_ledger.free_silent_runs)
        any_ledger.renew(lease)
    clock.now -= 3600
    assert any_ledger.claim("w2") is None
    any_ledger.finish(lease, [])


@pytest.mark.threat("worker-outage")
def test_an_outage_of_the_ledger_frees_no_live_run(any_ledger):
    """While the database is away nobody can be seen alive: watching starts again after the gap."""
    add(any_ledger, run("a"))
    clock = any_ledger.silence.monotonic = Clock()
    lease = any_ledger.claim("w1")
    clock.go(any_ledger.settings.lease_s * 0.4, any_ledger.free_silent_runs)
    clock.now += 3600.0  # nobody could look
    assert any_ledger.claim("w2") is None
    any_ledger.renew(lease)
    clock.go(any_ledger.settings.lease_s * 0.9, any_ledger.free_silent_runs)
    assert any_ledger.claim("w2") is None
    any_ledger.finish(lease, [])


def test_lost_is_tried_again_up_to_the_cap(any_ledger):
    (run_id,) = add(any_ledger, run("a"))
    for _ in range(MAX_RETRIES):
        assert any_ledger.fail(any_ledger.claim("w"), "lost", "gone") == "queued"
    assert any_ledger.fail(any_ledger.claim("w"), "lost", "gone") == "failed"
    row = any_ledger.run(run_id)
    assert (row.error, row.error_kind, row.retries) == ("gone", "lost", MAX_RETRIES)
    assert any_ledger.claim("w") is None


@pytest.mark.threat("killed-run")
def test_dead_workers_are_counted_too(any_ledger):
    (run_id,) = add(any_ledger, run("a"))
    for _ in range(MAX_LOSSES + 1):
        any_ledger.claim("w")
        any_ledger.free_silent_runs(everyone=True)
    assert (any_ledger.run(run_id).state, any_ledger.run(run_id).error_kind) == ("failed", "lost")


@pytest.mark.parametrize(
    ("kind", "state"),
    [("bug", "failed"), ("data", "failed"), ("out_of_memory", "failed"), ("disk", "paused")],
)
def test_other_failures_are_not_tried_again(any_ledger, kind, state):
    (run_id,) = add(any_ledger, run("a"))
    assert any_ledger.fail(any_ledger.claim("w"), kind, "sentence") == state
    assert any_ledger.claim("w") is None
    any_ledger.retry(run_id)
    assert any_ledger.run(run_id).state == "queued"
    assert any_ledger.run(run_id).error is None


def test_cancel(any_ledger):
    (first, second) = add(any_ledger, run("a"), run("b", minutes=2))
    lease = any_ledger.claim("w")
    assert any_ledger.cancel(second) == "cancelled"
    assert any_ledger.cancel(first) == "running"
    assert any_ledger.renew(lease) is True
    assert any_ledger.fail(lease, "lost", "told to stop") == "cancelled"
    with pytest.raises(UsageError, match="is cancelled: there is nothing to cancel"):
        any_ledger.cancel(first)
    with pytest.raises(UsageError, match="no run 'x'"):
        any_ledger.cancel("x")
    any_ledger.retry(first)
    with pytest.raises(UsageError, match="is queued; only a failed, cancelled or paused run"):
        any_ledger.retry(first)


def test_cancelled_while_its_worker_is_gone(any_ledger):
    (run_id,) = add(any_ledger, run("a"))
    any_ledger.claim("w")
    any_ledger.cancel(run_id)
    any_ledger.free_silent_runs(everyone=True)
    assert any_ledger.run(run_id).state == "cancelled"


def test_borrowed_weights_wait_for_their_source(any_ledger):
    source, user = add(any_ledger, run("a", minutes=9), run("b", weights_from="a"))
    lease = any_ledger.claim("w")
    assert lease.run_id == source
    assert any_ledger.claim("w") is None
    any_ledger.finish(lease, [])
    assert any_ledger.claim("w").source_id == source
    assert any_ledger.run(user).state == "running"


def test_borrowed_weights_fail_with_their_source(any_ledger):
    _, user = add(any_ledger, run("a"), run("b", weights_from="a"))
    any_ledger.fail(any_ledger.claim("w"), "bug", "x")
    assert any_ledger.claim("w") is None
    row = any_ledger.run(user)
    assert (row.state, row.error_kind) == ("failed", "data")
    assert (
        row.error
        == "the run whose weights it uses did not finish ('a' failed); resume that one, then this"
    )


def test_best_of_takes_what_finished(any_ledger):
    cross = RecommenderSpec(family="cross-encoder", backbone="minilm-l6")
    rows = [RunSpec(name=name, recommender=cross, seed=number) for number, name in enumerate("ab")]
    add(
        any_ledger,
        *rows,
        RunSpec(name="c", weights_from="best:cross-encoder", precision="int8", recommender=cross),
    )
    any_ledger.fail(any_ledger.claim("w"), "bug", "x")
    good = any_ledger.claim("w")
    any_ledger.finish(good, [])
    assert any_ledger.claim("w").source_id == good.run_id


# ── requests and workers ─────────────────────────────────────────────────────────────────────────


def test_requests_are_answered_once_in_order(any_ledger):
    first = any_ledger.request("recommend", {"user": 1})
    second = any_ledger.request("explain", {"user": 2})
    row = any_ledger.claim_request("w")
    assert (row.id, row.state, row.payload) == (first, "running", {"user": 1})
    assert any_ledger.close_request(row, {"items": [1]})
    assert not any_ledger.close_request(row, {"items": [2]})
    assert any_ledger.answer(first).answer == {"items": [1]}
    other = any_ledger.claim_request("w")
    assert other.id == second
    any_ledger.close_request(other, None, "no such user")
    assert (any_ledger.answer(second).state, any_ledger.answer(second).error) == (
        "failed",
        "no such user",
    )
    assert any_ledger.claim_request("w") is None
    assert any_ledger.answer("unknown") is None


@pytest.mark.threat("killed-run")
def test_request_of_a_dead_worker_waits_again_then_fails(any_ledger):
    any_ledger.add_worker("w", "host", 1, {})
    clock = any_ledger.silence.monotonic = Clock()
    request = any_ledger.request("explain", {})
    for state in ("queued", "failed"):
        held = any_ledger.claim_request("w")
        any_ledger.free_silent_requests()
        any_ledger.beat("w", "busy")
        any_ledger.free_silent_requests()
        assert any_ledger.answer(request).state == "running"  # it had been heard from
        clock.go(any_ledger.settings.lease_s * 2, any_ledger.free_silent_requests)
        assert any_ledger.answer(request).state == state
        assert not any_ledger.close_request(held, {})


def test_released_request_does_not_count(any_ledger):
    request = any_ledger.request("explain", {})
    for _ in range(5):
        any_ledger.release_request(any_ledger.claim_request("w"))
    assert (any_ledger.answer(request).state, any_ledger.answer(request).attempt) == ("queued", 0)


def test_a_question_has_a_place_in_line_and_a_usual_time(any_ledger):
    first, second, third = (any_ledger.request("explain", {"user": n}) for n in range(3))
    assert [any_ledger.questions_before(one) for one in (first, second, third)] == [0, 1, 2]
    assert any_ledger.usual_answer_s("explain") is None
    for _ in range(3):
        any_ledger.close_request(any_ledger.claim_request("w"), {"items": []})
    assert any_ledger.questions_before(third) == 0
    assert 0 <= any_ledger.usual_answer_s("explain") < 60
    assert any_ledger.usual_answer_s("recommend") is None


def test_a_question_that_was_given_up_is_neither_answered_nor_counted(any_ledger):
    waiting, next_one = any_ledger.request("explain", {}), any_ledger.request("explain", {})
    assert any_ledger.cancel_request(waiting)
    assert any_ledger.questions_before(next_one) == 0
    held = any_ledger.claim_request("w")
    assert held.id == next_one
    assert any_ledger.cancel_request(next_one), "also while it is being answered"
    assert not any_ledger.close_request(held, {"items": []})
    assert any_ledger.answer(next_one).state == "cancelled"
    assert not any_ledger.cancel_request(next_one)
    assert any_ledger.claim_request("w") is None


def test_workers_are_seen_until_they_are_silent(any_ledger, monkeypatch):
    any_ledger.add_worker("w", "host", 17, {"cores": 2})
    any_ledger.beat("w", "busy")
    (row,) = any_ledger.workers()
    assert (row.state, row.pid, row.doc) == ("busy", 17, {"cores": 2})
    object.__setattr__(any_ledger.settings, "lease_s", -1.0)
    assert any_ledger.workers()[0].state == "lost"
    any_ledger.beat("w", "stopped")
    assert any_ledger.workers()[0].state == "stopped"
