"""A hosted model against a real server: tokens as it counts them, the limit, a kill in the middle.

    python tests/benchmarks/hosted.py [--quick] [--json] [--model FOLDER_OR_GGUF] [--home HOME]

`transformers serve` answers on loopback, with a tiny model of random weights or with MODEL (a
folder, or FOLDER:FILE.gguf). Between it and the worker stands a proxy that passes everything on and
adds up what the server itself counts. 50 people (12 with `--quick`) are ranked by a run of a real
worker whose process is killed (SIGKILL) in the middle and goes on, beside the retriever alone; then
with other prompts and a limit that a third of them reach. The people are made up, or those of
ml-100k where HOME holds it. Prompts paid twice are to be 0, and the requests by which the limit was
passed at most 1. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import RunSpec, run_from_dict
from llmrec_core.contract.spec_files import StudySpec
from llmrec_core.data import store
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.errors import RunError
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.ledger.rows import RunRow
from llmrec_core.metrics.exam import Exam
from llmrec_core.reading import listing
from llmrec_core.recommenders.hosted.recommender import Hosted
from llmrec_core.running.study import with_content
from llmrec_core.settings import Settings, load_settings
from tests.recommenders.hosted.films import films
from tests.recommenders.hosted.stub import Stub, running_stub
from tests.transformers_serve import serving, tiny_chat_model

RETRIEVED = 20
PRICE = 1.0
"""Dollars for a million tokens, in and out: made up, so that dollars are tokens."""


def spec(name: str, data: str, users: int, **recommender: Any) -> RunSpec:
    """A run of the comparison."""
    return run_from_dict(
        {
            "name": name,
            "data": {"name": data},
            "protocol": {"candidates": "100-uniform" if data == "ml-100k" else "20-uniform"}
            | {"users": users},
            "recommender": recommender,
        }
    )


def hosted(
    name: str, data: str, users: int, stub: Stub, model: str, limit: float, **more: Any
) -> RunSpec:
    """A run of the hosted model."""
    endpoint = {"url": stub.url, "model": model, "priced_on": "2026-11-26", "limit_usd": limit}
    endpoint |= {"usd_per_million_in": PRICE, "usd_per_million_out": PRICE}
    retriever = {"family": "hosted", "retriever": "item-knn", "rerank_k": RETRIEVED}
    return spec(name, data, users, **retriever, endpoint=endpoint, **more)


def worked(settings: Settings, ledger: Ledger, run: RunSpec, stub: Stub, kill_at: int) -> RunRow:
    """The run as a worker left it, its first process killed after so many prompts (0: never)."""
    (run_id,) = ledger.add_study(StudySpec(run.name, run.name, (with_content(run, settings),)))
    worker = subprocess.Popen(
        [sys.executable, "-m", "llmrec_core", "worker"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    first = len(stub.prompts)
    try:
        while ledger.run(run_id).state not in ("finished", "failed"):
            if kill_at and len(stub.prompts) - first >= kill_at:
                os.kill(child_of(worker.pid), signal.SIGKILL)
                kill_at = 0
            time.sleep(0.02)
    finally:
        worker.terminate()
        worker.wait()
    return ledger.run(run_id)


def child_of(worker: int) -> int:
    """The process of the run that the worker has under way."""
    listed = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
    return next(
        int(pid) for pid in listed if "running.child" in Path(f"/proc/{pid}/cmdline").read_text()
    )


def killed_in_the_middle(
    settings: Settings, stub: Stub, data: str, users: int, model: str
) -> dict[str, Any]:
    """A run whose process is killed after a third of its prompts, beside its retriever alone."""
    ledger = Ledger.open(settings)
    asked = hosted("killed", data, users, stub, model, 1.0)
    run = worked(settings, ledger, asked, stub, users // 3)
    alone = worked(settings, ledger, spec("alone", data, users, family="item-knn"), stub, 0)
    row, retriever = listing.rows_of(ledger, [run, alone])
    ledger.close()
    return {
        "state": run.state,
        "said": run.error,
        "attempts": run.attempt,
        "people": row.figure("ndcg@10").n,
        "prompts_paid_twice": sum(count - 1 for count in stub.seen.values()),
        "tokens_of_server": [stub.tokens_in, stub.tokens_out],
        "ndcg10": row.figure("ndcg@10").value,
        "ndcg10_retriever": retriever.figure("ndcg@10").value,
        **{name: row.figure(name).value for name in FIGURES},
    }


def stopped_by_its_limit(
    settings: Settings, stub: Stub, data: str, users: int, model: str
) -> dict[str, Any]:
    """Other prompts under a limit that a third of them reach; the estimate before is left out."""
    request_usd = (stub.tokens_in + stub.tokens_out) / len(stub.prompts) * PRICE / 1e6
    limit = request_usd * users / 3
    dataset = load_dataset(data, settings)
    run = hosted("short", data, users, stub, model, limit, options={"shuffle": 1})
    exam = Exam.of(dataset, run.protocol)
    recommender = Hosted.of_spec(run, dataset, settings, None)
    recommender.retriever.fit(exam.split, RunContext(settings.home))
    before, asked = stub.tokens_in + stub.tokens_out, len(stub.prompts)
    said = ""
    try:
        recommender.score(exam.histories, exam.candidates)
    except RunError as error:
        said = str(error)
    spent = (stub.tokens_in + stub.tokens_out - before) * PRICE / 1e6
    return {
        "said": said,
        "limit_usd": limit,
        "spent_usd": spent,
        "prompts": len(stub.prompts) - asked,
        "requests_beyond": max(0.0, (spent - limit) / request_usd),
        "requests_left": max(0.0, (limit - spent) / request_usd),
    }


FIGURES = (
    *("hosted_prompts", "hosted_tokens_in", "hosted_tokens_out", "hosted_lost_answers"),
    *("hosted_illegal_answers", "hosted_unusable_answers", "hosted_tokens_in_per_request"),
    *("hosted_tokens_out_per_request", "latency_p50_s", "latency_p95_s", "usd_per_million"),
)


def main() -> None:
    """Serve, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="12 people instead of 50")
    parser.add_argument("--json", action="store_true", help="the last line alone")
    parser.add_argument("--model", default="", help="a folder, or FOLDER:FILE.gguf [tiny]")
    parser.add_argument("--home", default="", help="a home that holds ml-100k [made-up people]")
    chosen = parser.parse_args()
    users = 12 if chosen.quick else 50
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        os.environ["LLMREC_HOME"] = str(place / "home")
        os.environ.pop("LLMREC_LEDGER", None)
        settings = load_settings()
        data = "ml-100k" if chosen.home else "films"
        if chosen.home:
            shutil.copytree(Path(chosen.home) / "assets" / data, settings.assets / data)
        else:
            store.save(films(), settings, note="made up")
        model = chosen.model or str(tiny_chat_model(place / "model"))
        began = time.perf_counter()
        with serving(model, place / "serve.log") as real, running_stub(behind=real) as stub:
            found: dict[str, Any] = {"model": chosen.model or "tiny, random weights", "data": data}
            found["killed"] = killed_in_the_middle(settings, stub, data, users, model)
            found["limit"] = stopped_by_its_limit(settings, stub, data, users, model)
            found["seconds"] = time.perf_counter() - began
    if not chosen.json:
        for part in ("killed", "limit"):
            print(part)
            for name, value in found[part].items():
                print(f"  {name:32} {value}")
    print(json.dumps({"results": found}))


if __name__ == "__main__":
    main()
