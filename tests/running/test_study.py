"""Time left, the table, and web and worker as one."""

from __future__ import annotations

import dataclasses
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from llmrec_core.contract.families import family_named
from llmrec_core.contract.spec import RecommenderSpec, RunSpec
from llmrec_core.contract.spec_files import StudySpec, load_study
from llmrec_core.errors import UsageError
from llmrec_core.reading.turns import NEW_ITEMS
from llmrec_core.running import services, study
from tests.served import free_port

ROOT = Path(__file__).parents[2]


def test_time_left_follows_the_pace_so_far(ledger):
    names = {"a": 1.0, "b": 2.0, "c": 3.0}
    ledger.add_study(
        StudySpec(
            "s", "S", tuple(RunSpec(name=n, minutes=m, seed=int(m)) for n, m in names.items())
        )
    )
    a, b, c = ledger.runs("s")
    clock = datetime(2026, 11, 24, 10, 10, tzinfo=UTC)
    # nothing has finished: the specs' minutes are all that is known
    assert study.seconds_left([a, b, c], clock) == 60 * (1 + 2 + 3)
    # a took two minutes in place of one: pace (180 + 120) / (180 + 60) = 1.25; b has run for one minute
    done = dataclasses.replace(
        a, state="finished", started="2026-11-24T10:00:00Z", finished="2026-11-24T10:02:00Z"
    )
    runs = dataclasses.replace(b, state="running", started="2026-11-24T10:09:00Z")
    assert study.seconds_left([done, runs, c], clock) == 1.25 * 120 - 60 + 1.25 * 180
    assert study.seconds_left([done], clock) == 0


def test_table_shows_what_came_of_each_run(ledger):
    runs = tuple(RunSpec(name=f"row [{name}]", seed=n) for n, name in enumerate(("bold", "b")))
    ids = ledger.add_study(StudySpec("s", "S", runs))
    ledger.fail(ledger.claim("w"), "data", "no such column")
    console = Console(width=100, record=True, force_terminal=False, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    lease = ledger.claim("w")
    ledger.report(lease, ("fit", 3, 10))

    def alive() -> None:
        ledger.finish(lease, [])

    ended = study.watch(study.Board(ledger, ids, "A title"), console, alive)
    console.file.close()
    assert [run.state for run in ended] == ["failed", "finished"]
    text = console.export_text()
    assert "row [bold]" in text  # a name is text, not markup
    assert "failed (data)" in text
    assert "no such column" in text
    assert "2 of 2 done" in text


def test_downloads_of_a_study_are_those_its_rows_need():
    reader = RecommenderSpec(family="cross-encoder", backbone="minilm-l6")
    runs = (RunSpec(name="a"), RunSpec(name="b", recommender=reader))
    assert study.assets_of(StudySpec("s", "S", runs)) == ["ml-100k", "minilm-l6"]


def test_default_study_is_readable_and_long_enough():
    default = load_study(study.DEFAULT_STUDY)
    assert len(default.runs) >= 14
    new = [spec for spec in default.runs if spec.name.startswith("New items: ")]
    others = [spec for spec in default.runs if spec not in new]
    for asked_alike in (new, others):
        assert len({spec.protocol.name for spec in asked_alike}) == 1
        assert len({(spec.protocol.users, spec.protocol.seed) for spec in asked_alike}) == 1
    assert new[0].protocol.name in NEW_ITEMS
    assert all(spec.minutes for spec in default.runs)
    assert sum(spec.minutes for spec in default.runs) <= 15
    names = [spec.name for spec in default.runs]
    first = next(n for n, spec in enumerate(default.runs) if spec.recommender.adaptation != "none")
    assert family_named(default.runs[first].recommender.family).backbones
    assert sum(spec.minutes for spec in default.runs[: first + 1]) <= 3  # an answer early
    assert default.in_file_order
    assert [f"SASRec, seed {seed}" in names for seed in range(3)] == [True] * 3
    assert sum(spec.protocol.also_time for spec in default.runs) >= 8


def test_port_that_is_taken():
    with socket.socket() as taken:
        taken.bind((services.HOST, 0))
        taken.listen()
        with pytest.raises(UsageError, match="is in use"):
            services.check_port(taken.getsockname()[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_starts_and_stops_both(home, number):
    port = free_port()
    command = [sys.executable, "-m", "llmrec_core", "up", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert any(re.match(rf"open http://localhost:{port} ", line) for line in lines)
    with urllib.request.urlopen(
        f"http://{services.HOST}:{port}/_stcore/health", timeout=5
    ) as reply:
        assert reply.read() == b"ok"
    both = psutil.Process(process.pid).children()
    assert len(both) == 2
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    until = time.monotonic() + 30
    while any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in both):
        assert time.monotonic() < until
        time.sleep(0.1)
