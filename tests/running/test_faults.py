"""Faults of a real worker and its real child processes: whatever dies, every run has one result."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter

import psutil
import pytest

from llmrec_core.errors import UsageError
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.running.worker import Worker
from llmrec_core.running.worker_lock import home_lock, live_worker
from llmrec_core.settings import load_settings
from tests.running.workers import LEASE_S, add, children, drain, wait_for

pytestmark = pytest.mark.usefixtures("stand_ins")


@pytest.mark.threat("killed-run")
def test_killed_worker_leaves_one_result(any_settings, any_ledger, start):
    """kill -9 of a real worker in the middle of a run: the next one resumes at the saved step."""
    ledger = any_ledger
    first, second = add(ledger, a={"steps": 30, "step_s": 0.1}, b={})
    worker = start()
    wait_for(lambda: (ledger.run(first).progress_done or 0) >= 3)
    worker.kill()
    worker.wait()
    began = time.monotonic()
    rows = drain(any_settings, ledger)
    assert time.monotonic() - began < 2 * LEASE_S + 4
    assert [row.state for row in rows] == ["finished", "finished"]
    assert (ledger.run(first).attempt, ledger.run(first).losses) == (2, 1)
    assert any("resumed at step" in line for _, line in ledger.logs(first))
    assert Counter(ledger.measurements([first, second])["run_id"]) == {first: 2, second: 2}


@pytest.mark.threat("full-disk")
def test_full_disk_pauses_the_run(tmp_path, monkeypatch, start):
    """A disk that is really full, ledger and all: the worker stays, and tells the ledger later."""
    home = tmp_path / "small"
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(home)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can only be mounted by root")
    try:
        monkeypatch.setenv("LLMREC_HOME", str(home))
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


@pytest.mark.threat("signals")
def test_cancel_stops_a_running_run(any_settings, any_ledger, start):
    ledger = any_ledger
    first, second = add(ledger, a={"steps": 500, "step_s": 0.05}, b={})
    start()
    wait_for(lambda: (ledger.run(first).progress_done or 0) >= 1)
    assert ledger.cancel(first) == "running"
    wait_for(lambda: ledger.run(first).state == "cancelled")
    wait_for(lambda: ledger.run(second).state == "finished")
    assert ledger.measurements([first]).empty
    assert (any_settings.runs / first / "steps.txt").exists()  # kept, so that it can be resumed


@pytest.mark.threat("signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_saves_and_puts_back(any_settings, any_ledger, start, number):
    ledger = any_ledger
    (run_id,) = add(ledger, a={"steps": 40, "step_s": 0.1})
    worker = start()
    wait_for(lambda: (ledger.run(run_id).progress_done or 0) >= 2)
    worker.send_signal(number)
    assert worker.wait(timeout=10) == 128 + number
    assert ledger.run(run_id).state == "queued"
    assert int((any_settings.runs / run_id / "steps.txt").read_text().split()[0]) >= 2
    assert ledger.workers()[0].state == "stopped"
    assert ledger.run(run_id).retries == ledger.run(run_id).losses == 0


@pytest.mark.threat("two-workers")
def test_second_worker_is_refused(settings, ledger, start):
    with home_lock(settings, ledger):
        worker = start()
        output, _ = worker.communicate(timeout=20)
    assert worker.returncode == 2
    assert f"a worker (process {os.getpid()}) already works on {settings.home}" in output
    with pytest.raises(UsageError, match="--allow-many needs PostgreSQL"):
        Worker(settings, ledger, allow_many=True)


def test_a_worker_lives_when_its_process_does(any_ledger):
    assert live_worker(any_ledger) is None
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    any_ledger.add_worker("dead", socket.gethostname(), gone.pid, {})
    assert live_worker(any_ledger) is None
    any_ledger.add_worker("here", socket.gethostname(), os.getpid(), {})
    assert live_worker(any_ledger).id == "here"


@pytest.mark.threat("killed-run")
def test_run_that_dies_again_and_again_kills_no_worker(any_settings, any_ledger):
    add(any_ledger, a={"crash": float(signal.SIGKILL)}, b={})
    rows = {row.name: row for row in drain(any_settings, any_ledger)}
    assert (rows["a"].state, rows["a"].error_kind, rows["a"].attempt) == ("failed", "lost", 3)
    assert "SIGKILL from outside" in rows["a"].error
    assert rows["b"].state == "finished"


@pytest.mark.threat("killed-run")
def test_children_die_with_their_worker(any_ledger, start):
    (run_id,) = add(any_ledger, a={"steps": 500, "step_s": 0.05})
    worker = start()
    wait_for(lambda: (any_ledger.run(run_id).progress_done or 0) >= 1)
    (child,) = children(worker.pid)
    worker.kill()
    worker.wait()
    wait_for(lambda: not psutil.pid_exists(child), seconds=10)
