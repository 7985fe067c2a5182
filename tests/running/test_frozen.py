"""Processes that live and do nothing: a frozen run, a frozen worker, a frozen holder of a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from llmrec_core.running.processes import Holder, run_folder, take_lock
from llmrec_core.running.watchdog import Watchdog
from llmrec_core.settings import load_settings
from tests.running.workers import add, children, drain, wait_for

pytestmark = pytest.mark.usefixtures("stand_ins")


@pytest.mark.threat("frozen")
def test_frozen_run_is_ended_and_tried_again(any_settings, any_ledger, start):
    """The worker lives and would renew the lease of its stopped run for ever."""
    (run_id,) = add(any_ledger, a={"steps": 6, "step_s": 0.3})
    worker = start()
    # a step is told before it is saved: once the second is told, the first is saved
    wait_for(lambda: (any_ledger.run(run_id).progress_done or 0) >= 2)
    os.kill(children(worker.pid)[0], signal.SIGSTOP)
    wait_for(lambda: any_ledger.run(run_id).state == "finished")
    row = any_ledger.run(run_id)
    assert (row.attempt, row.retries) == (2, 1)
    assert any("its process stood still for" in line for _, line in any_ledger.logs(run_id))
    assert any("resumed at step" in line for _, line in any_ledger.logs(run_id))


@pytest.mark.threat("frozen")
def test_deadlocked_run_is_ended_and_tried_again(any_ledger, monkeypatch):
    """It is not stopped, it just waits: what counts is whether it computes."""
    monkeypatch.setenv("LLMREC_STALL_S", "4")
    add(any_ledger, a={"deadlock": 1})
    (row,) = drain(load_settings(), any_ledger)
    assert (row.state, row.attempt, row.retries) == ("finished", 2, 1)


@pytest.mark.threat("frozen")
def test_frozen_worker_is_replaced(any_settings, any_ledger, start, monkeypatch):
    """SIGSTOP of worker and run: the next worker takes over, the first one's result is refused.

    On SQLite, where one worker may have a home, the frozen one would lock everybody out: it is
    ended. On PostgreSQL it stays, and whatever it says when it wakes changes nothing.
    """
    monkeypatch.setenv("LLMREC_LEASE_S", "1")
    many = ["--allow-many"] if any_ledger.engine.dialect.name == "postgresql" else []
    (run_id,) = add(any_ledger, a={"steps": 4, "step_s": 0.5})
    frozen = start(*many)
    wait_for(lambda: (any_ledger.run(run_id).progress_done or 0) >= 1)
    (child,) = children(frozen.pid)
    for pid in (frozen.pid, child):
        os.kill(pid, signal.SIGSTOP)
    first = any_ledger.run(run_id).worker
    wait_for(lambda: {row.id: row.state for row in any_ledger.workers()}[first] == "lost")
    start(*many)
    wait_for(lambda: any_ledger.run(run_id).state == "finished")
    row = any_ledger.run(run_id)
    assert (row.attempt, row.worker != first) == (2, True)
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie"
    table = any_ledger.measurements([run_id])
    if many:
        os.kill(frozen.pid, signal.SIGCONT)
        wait_for(lambda: not children(frozen.pid))
        time.sleep(0.5)
    else:
        assert frozen.wait(timeout=5) == -signal.SIGKILL
    assert any_ledger.run(run_id) == row
    assert any_ledger.measurements([run_id]).equals(table)


@pytest.mark.threat("two-workers")
def test_superseded_process_is_ended_before_its_folder_is_taken(tmp_path):
    """Its lock fails no takeover on the same machine, stopped as it may be."""
    program = (
        "import sys, time; from pathlib import Path; "
        "from llmrec_core.running.processes import take_lock; "
        "lock = take_lock(Path(sys.argv[1])); print(flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "lock")], stdout=subprocess.PIPE
    )
    holder.stdout.readline()
    os.kill(holder.pid, signal.SIGSTOP)
    began = time.monotonic()
    with run_folder(tmp_path, wait_s=30.0):
        assert time.monotonic() - began < 5
    assert holder.wait(timeout=5) == -signal.SIGKILL
    holder.stdout.close()


@pytest.mark.threat("two-workers")
def test_only_the_very_process_is_ended(tmp_path):
    """A number may be used again: a process that began at another time is left alone."""
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        itself = Holder.of(other.pid)
        assert Holder(itself.host, itself.pid, itself.began - 100).end()  # it is gone already
        assert other.poll() is None
        assert not Holder("another-host", itself.pid, itself.began).end()
        assert other.poll() is None
        itself.write(tmp_path / "lock")
        assert Holder.read(tmp_path / "lock").end()
        assert other.wait(timeout=5) == -signal.SIGKILL
    finally:
        other.kill()


def test_lock_of_version_01_names_no_process_to_end(tmp_path):
    (tmp_path / "worker.lock").write_text("1")  # process 1 is nobody's to end
    assert Holder.read(tmp_path / "worker.lock") is None
    assert take_lock(tmp_path / "worker.lock") is not None


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.threat("frozen")
def test_process_that_computes_is_never_frozen():
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    idle = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    clock = Clock()
    try:
        watched = {process: Watchdog(process.pid, 100.0, 10.0, clock) for process in (busy, idle)}
        for _ in range(4):
            time.sleep(1.2)
            clock.now += 30.0
            assert watched[busy].frozen_s() is None
        assert watched[idle].frozen_s() == pytest.approx(120.0)
        os.kill(busy.pid, signal.SIGSTOP)
        wait_for(lambda: psutil.Process(busy.pid).status() == psutil.STATUS_STOPPED)
        assert watched[busy].frozen_s() is None  # perhaps for a moment only
        clock.now += 11.0
        assert watched[busy].frozen_s() == 11.0
    finally:
        for process in (busy, idle):
            process.kill()
            process.wait()
    assert watched[busy].frozen_s() is None  # its exit status says how it ended
