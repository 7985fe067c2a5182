"""Real workers on a home of their own; the runs are stand-ins, so that the queue is tested alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.running.workers import LEASE_S, ROOT, Start


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs and answers that do as they are told, and a short lease."""
    monkeypatch.setenv("LLMREC_LEASE_S", str(LEASE_S))
    monkeypatch.setenv("LLMREC_EXECUTE", "tests.running.fake_run")
    monkeypatch.setenv("LLMREC_ANSWERS", "tests.running.fake_answers")
    monkeypatch.chdir(ROOT)


@pytest.fixture
def start() -> Iterator[Start]:
    """Start real workers; they are gone after the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "llmrec_core", "worker", *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()
