"""Kill processes at random moments and count what became of the runs: none lost, none doubled.

    python -m tests.soak --kills 1000 --json --database postgresql

Four workers execute runs that save after each small step (tests/running/fake_run.py, so that the
queue is measured and not the models). SQLite lets one worker work at a time, and the others stand
ready to take its place. At a random moment one process gets `kill -9`:

    worker      the process of a worker; its run goes on elsewhere from the last saved step
    child       the process of a run; at most once a run, since a run that always dies is given up
    web         the process that serves the pages
    database    the PostgreSQL server with all its sessions; on SQLite a program that writes

`lost`: runs without a whole result at the end; `duplicated`: runs whose record stands twice;
`damaged`: records, models and last steps that are not what an undisturbed run leaves, by their
digests; `resumed`: attempts that went on from a saved step.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path

from llmrec_core.contract.spec import RecommenderSpec, RunSpec
from llmrec_core.contract.spec_files import StudySpec
from llmrec_core.errors import LedgerError
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.ledger.rows import OVER, RunRow
from llmrec_core.running.integrity import check
from llmrec_core.running.services import web_command
from llmrec_core.settings import load_settings
from tests.postgres import Postgres
from tests.running.fake_run import chain_of
from tests.served import free_port

ROOT = Path(__file__).parents[1]
STUDY = "soak"
STEPS, STEP_S = 12, 0.05
ROWS_OF_A_RESULT = 2
LEASE_S = 5.0
WORKERS = 4
RUNS_A_KILL = 0.35
"""1,000 kills go with 350 runs at least; more are queued when these are done too soon."""
MORE = 10
PAUSE_S = 1.5
"""Longest time between two kills."""
SHARES = {"worker": 0.72, "child": 0.2, "web": 0.03, "database": 0.05}
"""How often each victim is drawn."""
REFUSED, AGAIN_S = 2, 10.0
"""Exit status of a worker that finds another one at work, and when its place is tried again."""
DEAD_S = 900.0
"""Without any change for so long the programme gives up and reports what is lost."""
WRITER = """
import itertools, time
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.settings import load_settings
ledger = Ledger.open(load_settings())
for number in itertools.count():
    ledger.note("soak", "write", str(number))
    time.sleep(0.02)
"""


class Program:
    """A process that is started again whenever it has ended."""

    def __init__(self, *command: str) -> None:
        self.command = command
        self.again_at = 0.0
        self.start()

    def start(self) -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([sys.executable, *self.command], cwd=ROOT, **quiet)

    def keep(self) -> None:
        status = self.process.poll()
        if status is None:
            return
        if status == REFUSED and not self.again_at:
            self.again_at = time.monotonic() + AGAIN_S
        if time.monotonic() >= self.again_at:
            self.again_at = 0.0
            self.start()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.start()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    @property
    def lives(self) -> bool:
        return self.process.poll() is None

    def children(self) -> list[int]:
        pid = self.process.pid
        try:
            words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            return []
        return [int(word) for word in words]


class Soak:
    """Runs, the programs that work on them, and who kills those."""

    def __init__(self, ledger: Ledger, kills: int, server: Postgres | None, seed: int) -> None:
        self.ledger, self.kills, self.server = ledger, kills, server
        self.chance = random.Random(seed)
        self.killed: Counter[str] = Counter()
        self.hurt: set[str] = set()
        self.ids: list[str] = []
        self.queue(max(round(kills * RUNS_A_KILL), MORE))
        self.port = free_port()
        several = ["--allow-many"] if server else []
        self.workers = [Program("-m", "llmrec_core", "worker", *several) for _ in range(WORKERS)]
        hosts = ("localhost", "127.0.0.1")
        self.web = Program(*web_command(self.port, "127.0.0.1", hosts))
        self.writer = None if server else Program("-c", WRITER)

    @property
    def programs(self) -> list[Program]:
        return [*self.workers, self.web, *([self.writer] if self.writer else [])]

    def queue(self, runs: int) -> None:
        work = RecommenderSpec(options={"steps": STEPS, "step_s": STEP_S})
        count = len(self.ids) + runs
        specs = tuple(RunSpec(name=f"run {n}", recommender=work, seed=n) for n in range(count))
        self.ids = self.ledger.add_study(StudySpec(STUDY, "Soak", specs))

    def open_runs(self) -> list[RunRow]:
        """The runs that are not over; waits while the ledger is away."""
        while True:
            with contextlib.suppress(LedgerError):
                return [run for run in self.ledger.runs(STUDY) if run.state not in OVER]
            time.sleep(0.2)

    def go(self) -> None:
        """Kill until `kills` are done, then let the rest finish."""
        last, changed = [], time.monotonic()
        while True:
            done = self.killed.total() >= self.kills
            left = self.open_runs()
            if not left and done:
                break
            if len(left) < WORKERS and not done:
                self.queue(MORE)
            state = [(run.id, run.attempt, run.progress_done) for run in left]
            if state != last:
                last, changed = state, time.monotonic()
            if time.monotonic() - changed > DEAD_S:
                break
            time.sleep(1.0 if done else self.chance.uniform(0.0, PAUSE_S))
            for program in self.programs:
                program.keep()
            if not done:
                self.kill(self.chance.choices(list(SHARES), list(SHARES.values()))[0])

    def kill(self, victim: str) -> None:
        {
            "worker": self.kill_worker,
            "child": self.kill_child,
            "web": lambda: self.count("web", self.web.kill),
            "database": self.kill_database,
        }[victim]()

    def count(self, victim: str, kill) -> None:
        kill()
        self.killed[victim] += 1

    def kill_worker(self) -> None:
        alive = [program for program in self.workers if program.lives]
        if alive:
            self.count("worker", self.chance.choice(alive).kill)

    def kill_child(self) -> None:
        """Kill the process of a run that was not hurt before."""
        pids = {pid for program in self.workers for pid in program.children()}
        for pid in self.chance.sample(sorted(pids), len(pids)):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                if "llmrec_core.running.child" in words and words[3] not in self.hurt:
                    self.hurt.add(words[3])
                    os.kill(pid, signal.SIGKILL)
                    self.killed["child"] += 1
                    return

    def kill_database(self) -> None:
        if self.server is None:
            assert self.writer is not None, "SQLite has one"
            self.count("database", self.writer.kill)
            return
        self.ledger.close()
        self.count("database", lambda: self.server.stop(signal.SIGKILL))
        time.sleep(self.chance.uniform(0.5, 3.0))
        self.server.start()

    def web_answers(self, wait_s: float = 60.0) -> bool:
        until = time.monotonic() + wait_s
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                url = f"http://127.0.0.1:{self.port}/_stcore/health"
                with urllib.request.urlopen(url, timeout=2) as answer:
                    return bool(answer.status == 200)
            time.sleep(0.5)
        return False

    def results(self) -> dict[str, int | bool | dict[str, int]]:
        rows = Counter(self.ledger.measurements(self.ids)["run_id"])
        runs = self.ledger.runs(STUDY)
        whole = chain_of(STEPS)
        chains = [self.ledger.document(run.id, "chain") for run in runs if run.state == "finished"]
        logs = [line for run_id in self.ids for _, line in self.ledger.logs(run_id)]
        return {
            "kills": self.killed.total(),
            "victims": dict(self.killed),
            "runs": len(self.ids),
            "lost": sum(run.state != "finished" or rows[run.id] < ROWS_OF_A_RESULT for run in runs),
            "duplicated": sum(rows[run_id] > ROWS_OF_A_RESULT for run_id in self.ids),
            "damaged": sum(chain != whole for chain in chains)
            + sum(finding.damage for finding in check(self.ledger)),
            "attempts": sum(run.attempt for run in runs),
            "resumed": sum(line.startswith("resumed at step") for line in logs),
            "web_answers": self.web_answers(),
        }


def run(database: str, kills: int, seed: int) -> dict[str, object]:
    """Soak a new ledger; returns the results."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Postgres.running()) if database == "postgresql" else None
        home = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        os.environ |= {
            "LLMREC_HOME": home,
            "LLMREC_LEASE_S": str(LEASE_S),
            "LLMREC_EXECUTE": "tests.running.fake_run",
        }
        if server is not None:
            os.environ["LLMREC_LEDGER"] = server.url
        ledger = Ledger.open(load_settings())
        stack.callback(ledger.close)
        soak = Soak(ledger, kills, server, seed)
        try:
            soak.go()
            return soak.results()
        finally:
            for program in soak.programs:
                program.stop()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="end with one JSON line")
    parser.add_argument("--kills", type=int, default=1000, help="how many (1,000)")
    parser.add_argument("--quick", action="store_true", help="20 kills")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began = time.monotonic()
    results = run(options.database, 20 if options.quick else options.kills, options.seed)
    for name, value in results.items():
        print(f"{name:>12} {value}")
    conditions = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "database": options.database,
        "workers": WORKERS,
        "seed": options.seed,
        "lease_s": LEASE_S,
        "seconds": round(time.monotonic() - began, 1),
    }
    print(f"{'seconds':>12} {conditions['seconds']}")
    if options.json:
        print(json.dumps({"bench": "soak", "conditions": conditions, "results": results}))
    sys.exit(any(results[name] for name in ("lost", "duplicated", "damaged")))


if __name__ == "__main__":
    main()
