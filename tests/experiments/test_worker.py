"""Faults of a real worker and its real child processes: whatever dies, every run has one result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmrec_core.errors import UsageError
from llmrec_core.experiments import failures
from llmrec_core.experiments.ledger import Ledger
from llmrec_core.experiments.records import RunRow
from llmrec_core.experiments.spec import RecommenderSpec, RunSpec, StudySpec
from llmrec_core.experiments.turns import Turns
from llmrec_core.experiments.worker import Worker, home_lock, live_worker
from llmrec_core.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
LEASE_S = 2.0


@pytest.fixture
def settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("LLMREC_LEASE_S", str(LEASE_S))
    monkeypatch.setenv("LLMREC_EXECUTE", "tests.experiments.fake_run")
    monkeypatch.setenv("LLMREC_ANSWERS", "tests.experiments.fake_answers")
    monkeypatch.chdir(ROOT)
    return load_settings()


def add(ledger: Ledger, **runs: dict[str, float]) -> list[str]:
    specs = tuple(
        RunSpec(name=name, recommender=RecommenderSpec(options=options), seed=number)
        for number, (name, options) in enumerate(runs.items())
    )
    return ledger.add_study(StudySpec("s", "S", specs))


def drain(settings: Settings, ledger: Ledger) -> list[RunRow]:
    """A worker in this process, until nothing is queued."""
    Worker(settings, ledger).run(until_idle=True)
    return ledger.runs("s")


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start real workers; they are gone after the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "llmrec_core", "worker", *options]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


# ── ordinary work ────────────────────────────────────────────────────────────────────────────────


def test_runs_leave_their_records(settings, ledger):
    add(ledger, a={"steps": 3}, b={"steps": 1})
    rows = drain(settings, ledger)
    assert [row.state for row in rows] == ["finished", "finished"]
    assert [row.attempt for row in rows] == [1, 1]
    for row in rows:
        assert ledger.measurements([row.id])["name"].tolist() == ["ndcg@10", "energy_per_request_j"]
        assert ledger.samples(row.id, "ndcg@10", "loo/100-uniform").keys == [4, 7]
    assert ledger.curves(rows[0].id).query("name == 'train_loss'")["step"].tolist() == [0, 1, 2]
    assert (rows[0].progress_phase, rows[0].progress_done, rows[0].progress_total) == ("fit", 3, 3)
    assert ledger.workers()[0].state == "stopped"


def test_borrowed_weights_come_with_their_folder(settings, ledger):
    runs = (RunSpec(name="a"), RunSpec(name="b", weights_from="a", precision="int8"))
    source, user = ledger.add_study(StudySpec("s", "S", runs))
    drain(settings, ledger)
    assert ledger.document(source, "parent") == "None"
    assert ledger.document(user, "parent") == str(settings.runs / source / "model")


def test_failures_are_classified(settings, ledger):
    segv = float(signal.SIGSEGV)
    add(ledger, hog={"hog": 1}, data={"data": 1}, bug={"bug": 1}, full={"full": 1}, segv={"crash": segv}, fine={})
    rows = {row.name: row for row in drain(settings, ledger)}
    found = {name: (row.state, row.error_kind) for name, row in rows.items()}
    assert found == {
        "hog": ("failed", "out_of_memory"),
        "data": ("failed", "data"),
        "bug": ("failed", "bug"),
        "full": ("paused", "disk"),
        "segv": ("failed", "bug"),
        "fine": ("finished", None),
    }
    assert rows["data"].error == "row 3 has no rating; expected a number; mend the file"
    assert "training.batch_histories" in rows["hog"].error
    assert "nothing stored is lost" in rows["full"].error
    assert "SIGSEGV" in rows["segv"].error
    assert any("KeyError: 'no such column'" in line for _, line in ledger.logs(rows["bug"].id))
    assert any("Segmentation fault" in line for _, line in ledger.logs(rows["segv"].id))


def test_killed_child_is_resumed(settings, ledger):
    (run_id,) = add(ledger, a={"steps": 4, "crash_at": 1})
    (row,) = drain(settings, ledger)
    assert (row.state, row.attempt, row.retries) == ("finished", 2, 1)
    assert any("resumed at step 2" in line for _, line in ledger.logs(run_id))
    assert len(ledger.measurements([run_id])) == 2


def test_child_that_always_dies_is_given_up(settings, ledger):
    add(ledger, a={"crash": float(signal.SIGKILL)})
    (row,) = drain(settings, ledger)
    assert (row.state, row.error_kind, row.attempt) == ("failed", "lost", 3)
    assert "SIGKILL from outside" in row.error


class OutOfMemoryError(RuntimeError):
    """As torch names it."""


def test_classes_of_failures():
    kind_of = {
        "out_of_memory": [
            OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
            RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
        ],
        "disk": [
            OSError(28, "No space left on device"),
            RuntimeError("I/O error: No space left on device (os error 28)"),
        ],
        "data": [UsageError("x")],
        "bug": [ZeroDivisionError("x")],
    }
    for kind, errors in kind_of.items():
        for error in errors:
            assert failures.classify(error)[0] == kind, error
    assert failures.classify_exit(-9, oom_kills=1)[0] == "out_of_memory"
    assert failures.classify_exit(-9, oom_kills=0)[0] == "lost"
    assert failures.classify_exit(failures.DISK, 0)[0] == "disk"
    assert failures.classify_exit(0, 0)[0] == "bug"


# ── faults ───────────────────────────────────────────────────────────────────────────────────────


def test_killed_worker_leaves_one_result(settings, ledger, start):
    """kill -9 of a real worker in the middle of a run: the next one resumes at the saved step."""
    first, second = add(ledger, a={"steps": 30, "step_s": 0.1}, b={})
    worker = start()
    wait_for(lambda: (ledger.run(first).progress_done or 0) >= 3)
    worker.kill()
    worker.wait()
    began = time.monotonic()
    rows = drain(settings, ledger)
    assert time.monotonic() - began < 2 * LEASE_S + 4
    assert [row.state for row in rows] == ["finished", "finished"]
    assert (ledger.run(first).attempt, ledger.run(first).losses) == (2, 1)
    assert any("resumed at step" in line for _, line in ledger.logs(first))
    assert Counter(ledger.measurements([first, second])["run_id"]) == {first: 2, second: 2}


def test_frozen_run_may_not_write_after_its_lease(any_settings, any_ledger, start, monkeypatch):
    """SIGSTOP of worker and child past the lease: a second worker takes over, the first one's result is refused."""
    if any_ledger.engine.dialect.name == "sqlite":
        pytest.skip("two workers at once need PostgreSQL")
    monkeypatch.setenv("LLMREC_LEASE_S", "1")
    monkeypatch.setenv("LLMREC_EXECUTE", "tests.experiments.fake_run")
    (run_id,) = add(any_ledger, a={"steps": 4, "step_s": 0.5})
    frozen = start("--allow-many")
    wait_for(lambda: (any_ledger.run(run_id).progress_done or 0) >= 1)
    child = _children(frozen.pid)[0]
    for pid in (frozen.pid, child):
        os.kill(pid, signal.SIGSTOP)
    first = any_ledger.run(run_id).worker
    (any_settings.runs / run_id / "lock").unlink()  # as if the second worker ran on another machine
    start("--allow-many")
    wait_for(lambda: any_ledger.run(run_id).state == "finished")
    row = any_ledger.run(run_id)
    assert (row.attempt, row.worker != first) == (2, True)
    table = any_ledger.measurements([run_id])
    for pid in (child, frozen.pid):
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: not _children(frozen.pid))
    time.sleep(0.5)
    assert any_ledger.run(run_id) == row
    assert any_ledger.measurements([run_id]).equals(table)


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_full_disk_pauses_the_run(tmp_path, monkeypatch, start):
    """A disk that is really full, ledger and all: the worker stays, and tells the ledger once there is space."""
    home = tmp_path / "small"
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(home)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can only be mounted by root")
    try:
        monkeypatch.setenv("LLMREC_HOME", str(home))
        monkeypatch.setenv("LLMREC_EXECUTE", "tests.experiments.fake_run")
        ledger = Ledger.open(load_settings())
        first, second = add(ledger, a={"fill": 1}, b={})
        worker = start()
        lines = iter(worker.stdout.readline, "")
        assert any("full" in line and line.rstrip().endswith("Trying again") for line in lines)
        assert ledger.run(first).state == "running"
        (home / "runs" / first / "filled").write_bytes(b"")  # somebody frees space
        wait_for(lambda: ledger.run(second).state == "finished")
        row = ledger.run(first)
        assert (row.state, row.error_kind) == ("paused", "disk")
        ledger.retry(first)
        wait_for(lambda: ledger.run(first).state == "finished")
        worker.terminate()
        worker.wait()
        ledger.close()
    finally:
        subprocess.run(["umount", "-l", str(home)], check=True)


def test_cancel_stops_a_running_run(settings, ledger, start):
    first, second = add(ledger, a={"steps": 500, "step_s": 0.05}, b={})
    start()
    wait_for(lambda: (ledger.run(first).progress_done or 0) >= 1)
    assert ledger.cancel(first) == "running"
    wait_for(lambda: ledger.run(first).state == "cancelled")
    wait_for(lambda: ledger.run(second).state == "finished")
    assert ledger.measurements([first]).empty
    assert (settings.runs / first / "steps.txt").exists()  # kept, so that it can be resumed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_saves_and_puts_back(settings, ledger, start, number):
    (run_id,) = add(ledger, a={"steps": 40, "step_s": 0.1})
    worker = start()
    wait_for(lambda: (ledger.run(run_id).progress_done or 0) >= 2)
    worker.send_signal(number)
    assert worker.wait(timeout=10) == 128 + number
    assert ledger.run(run_id).state == "queued"
    assert int((settings.runs / run_id / "steps.txt").read_text()) >= 2
    assert ledger.workers()[0].state == "stopped"
    assert ledger.run(run_id).retries == ledger.run(run_id).losses == 0


def test_second_worker_is_refused(settings, ledger, start):
    with home_lock(settings):
        worker = start()
        output, _ = worker.communicate(timeout=20)
    assert worker.returncode == 2
    assert f"a worker (process {os.getpid()}) already works on {settings.home}" in output
    with pytest.raises(UsageError, match="--allow-many needs PostgreSQL"):
        Worker(settings, ledger, allow_many=True)


def test_live_worker(settings, ledger):
    assert live_worker(ledger) is None
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    import socket

    ledger.add_worker("dead", socket.gethostname(), gone.pid, {})
    assert live_worker(ledger) is None
    ledger.add_worker("here", socket.gethostname(), os.getpid(), {})
    assert live_worker(ledger).id == "here"


# ── questions ────────────────────────────────────────────────────────────────────────────────────


def test_questions_overtake_a_study_and_share_one_warm_process(settings, ledger, start):
    first, *_ = add(ledger, a={"steps": 60, "step_s": 0.1}, b={}, c={})
    start()
    wait_for(lambda: (ledger.run(first).progress_done or 0) >= 1)
    ids = [ledger.request("echo", {"number": number}) for number in range(2)]
    wait_for(lambda: all(ledger.answer(request).state == "finished" for request in ids))
    assert ledger.run(first).state == "running"
    answers = [ledger.answer(request).answer for request in ids]
    assert [(answer["payload"]["number"], answer["asked"]) for answer in answers] == [(0, 1), (1, 2)]

    sentences = {
        "nonsense": "unknown question 'nonsense'; expected echo",
        "bug": "KeyError: 'x'",
        "die": "the helper ended",
    }
    for kind, sentence in sentences.items():
        request = ledger.request(kind, {})
        wait_for(lambda request=request: ledger.answer(request).state == "failed")
        assert sentence in ledger.answer(request).error
    request = ledger.request("echo", {})
    wait_for(lambda: ledger.answer(request).state == "finished")  # a new helper took over


def test_question_waits_for_the_end_of_a_timing_window(settings, ledger, start):
    (run_id,) = add(ledger, a={"steps": 1, "window_s": 2.0})
    start()
    wait_for(lambda: ledger.run(run_id).progress_done == 1)
    request = ledger.request("echo", {"seconds": 0.2})
    wait_for(lambda: ledger.answer(request).state == "finished" and ledger.run(run_id).state == "finished")
    window, asked = ledger.document(run_id, "window"), ledger.answer(request).answer
    assert asked["began"] >= window["ended"] or asked["ended"] <= window["began"]


def test_training_gives_way_to_a_question(tmp_path):
    """Two processes' locks: while one goes first, the other waits at its next step; not inside its own window."""
    run, helper = Turns(tmp_path), Turns(tmp_path)
    assert run.give_way() < 0.1
    with run.alone():
        assert run.give_way() == 0.0
    import threading

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
