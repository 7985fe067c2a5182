"""Worker and web as services: started again when they end, and who takes over when one leaves."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

from llmrec_core.errors import RunError, UsageError
from llmrec_core.running import services
from llmrec_core.running.services import Service, Services, check_port
from tests.running.workers import add, wait_for

pytestmark = pytest.mark.usefixtures("stand_ins")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def ended(service: Service) -> bool:
    return service.process.poll() is not None


@pytest.mark.threat("restart")
def test_restarts_come_later_each_time_and_end(settings):
    settings.home.mkdir(parents=True)
    clock = Clock()
    service = Service(
        "worker",
        ("-c", "print('no such module'); raise SystemExit(3)"),
        settings,
        quiet=True,
        monotonic=clock,
    )
    service.start()
    for pause_s in (1.0, 2.0, 4.0, 8.0):
        wait_for(lambda: ended(service))
        first = service.process
        service.keep()
        clock.now += pause_s - 0.1
        service.keep()
        assert service.process is first
        clock.now += 0.2
        service.keep()
        assert service.process is not first
        assert service.broken is None
    wait_for(lambda: ended(service))
    service.keep()
    assert "ended 5 times in a row; its last lines:" in str(service.broken)
    assert "no such module" in str(service.broken)


def test_what_has_lived_is_started_again_at_once(settings):
    settings.home.mkdir(parents=True)
    clock = Clock()
    service = Service("web", ("-c", ""), settings, quiet=True, monotonic=clock)
    service.start()
    for _ in range(10):
        wait_for(lambda: ended(service))
        clock.now += services.HEALTHY_S
        first = service.process
        service.keep()
        assert service.process is not first
    assert service.ends == 1
    wait_for(lambda: ended(service))


@pytest.mark.threat("restart")
def test_killed_worker_is_started_again(settings, ledger):
    """The pages would stay without anybody who works; before, they went with the worker."""
    (run_id,) = add(ledger, a={"steps": 20, "step_s": 0.1})
    with Services(settings, ledger, None, quiet=True) as running:
        first = running.worker.process.pid
        wait_for(lambda: (ledger.run(run_id).progress_done or 0) >= 2)
        os.kill(first, signal.SIGKILL)
        until = time.monotonic() + 60
        while ledger.run(run_id).state != "finished":
            assert time.monotonic() < until
            running.keep()
            time.sleep(0.1)
        second = running.worker.process.pid
        assert second != first
    assert ledger.run(run_id).attempt == 2
    assert not psutil.pid_exists(second)
    log = (settings.home / "worker.log").read_text()
    assert "the worker ended by SIGKILL; it is started again in 1 s" in log


@pytest.mark.threat("restart")
def test_another_one_takes_over_when_one_leaves(settings, ledger, monkeypatch):
    monkeypatch.setattr(services, "LOOK_S", 0.0)
    first = Services(settings, ledger, None, quiet=True)
    with first:
        wait_for(lambda: ledger.workers())
        second = Services(settings, ledger, None, quiet=True)
        with second:
            second.keep()
            assert second.worker.process is None  # one is enough
            first.__exit__(None, None, None)
            until = time.monotonic() + 60
            while not [row for row in ledger.workers() if row.state == "idle"]:
                assert time.monotonic() < until
                second.keep()
                time.sleep(0.1)
            assert second.worker.process is not None


@pytest.mark.threat("restart")
def test_broken_worker_ends_what_waits_for_it(settings, ledger):
    """A study on the command line must not wait for ever for a worker that cannot start."""
    with Services(settings, ledger, None, quiet=True) as running:
        running.worker.ends = services.GIVEN_UP
        with pytest.raises(RunError, match="the worker ended 5 times in a row"):
            running.keep()


@pytest.mark.parametrize("port", [80, 0, 70000])
def test_port_out_of_range(port):
    with pytest.raises(UsageError, match="expected a number from 1024 to 65535"):
        check_port(port)
