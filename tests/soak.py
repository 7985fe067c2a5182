"""Kill workers and runs at random moments and count what became of the runs: none lost, none doubled.

    python tests/soak.py --json            1,000 kills, about an hour on two cores
    python tests/soak.py --json --quick    20 kills, about two minutes

A real worker executes runs that save after each small step (tests/experiments/fake_run.py, so that it measures the
queue and not the models). At a random moment the worker, or in one case of four the run's own process, gets
`kill -9`; a new worker is started at once. `lost`: runs without a result at the end; `duplicated`: runs whose record
stands twice; `resumed`: attempts that went on from a saved step. `LLMREC_LEDGER` chooses PostgreSQL.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from llmrec_core.experiments.ledger import Ledger  # noqa: E402
from llmrec_core.experiments.records import OVER  # noqa: E402
from llmrec_core.experiments.spec import RecommenderSpec, RunSpec, StudySpec  # noqa: E402
from llmrec_core.settings import load_settings  # noqa: E402

STEPS, STEP_S = 12, 0.05
ROWS_OF_A_RESULT = 2
LEASE_S = 5.0


def study(runs: int) -> StudySpec:
    work = RecommenderSpec(options={"steps": STEPS, "step_s": STEP_S})
    return StudySpec("soak", "Soak", tuple(RunSpec(name=f"run {n}", recommender=work, seed=n) for n in range(runs)))


def start_worker() -> subprocess.Popen[bytes]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-m", "llmrec_core", "worker"], cwd=ROOT, **quiet)


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def soak(ledger: Ledger, kills: int, chance: random.Random) -> int:
    """Kill until `kills` are done or nothing is left to do, then let the rest finish; returns the kills done."""
    worker, done = start_worker(), 0
    while any(run.state not in OVER for run in ledger.runs("soak")):
        if done < kills:
            time.sleep(chance.uniform(0.0, 3.0))
        else:
            time.sleep(0.5)
            continue
        running = [run for run in ledger.runs("soak") if run.state == "running"]
        own = children(worker.pid)
        # a run's own process is killed once at most: after the third time it is rightly given up
        target = own[0] if own and running and not running[0].retries and chance.random() < 0.25 else worker.pid
        try:
            os.kill(target, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it had just ended
        done += 1
        if target == worker.pid:
            worker.wait()
            worker = start_worker()
    worker.terminate()
    worker.wait()
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one JSON line")
    parser.add_argument("--quick", action="store_true", help="20 kills in place of 1,000")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    kills = 20 if options.quick else 1000
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {
            "LLMREC_HOME": home,
            "LLMREC_LEASE_S": str(LEASE_S),
            "LLMREC_EXECUTE": "tests.experiments.fake_run",
        }
        ledger = Ledger.open(load_settings())
        ids = ledger.add_study(study(kills))
        done = soak(ledger, kills, random.Random(options.seed))
        table = Counter(ledger.measurements(ids)["run_id"])
        results = {
            "submitted": len(ids),
            "lost": sum(run.state != "finished" or not table[run.id] for run in ledger.runs("soak")),
            "duplicated": sum(table[run_id] > ROWS_OF_A_RESULT for run_id in ids),
            "resumed": sum("resumed at step" in line for run_id in ids for _, line in ledger.logs(run_id)),
            "kills": done,
        }
        database = ledger.engine.dialect.name
        ledger.close()
    for name, value in results.items():
        print(f"{name:>12} {value}")
    conditions = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "database": database,
        "seed": options.seed,
        "lease_s": LEASE_S,
        "seconds": round(time.monotonic() - began, 1),
    }
    print(f"{'seconds':>12} {conditions['seconds']}")
    if options.json:
        print(json.dumps({"bench": "soak", "conditions": conditions, "results": results}))


if __name__ == "__main__":
    main()
