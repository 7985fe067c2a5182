"""Damaged files and model configs, by the hundred thousand: does anything but a sentence come back?

    python -m tests.fuzz --inputs 200000 [--children 0] [--minutes 60] [--seed 0] [--json]

Every input is a small file of a form that the product reads (tests/fuzz_seeds.py), or a model's
config, changed by chance: bytes turned, lines swapped, cells and numbers replaced by hostile ones,
two files spliced. Half the inputs are files and half are configs. `--inputs` are read in batches,
each in a process with an import's limit of memory; `--children` are imported as a page does it,
through the child that reads strangers' files. After `--minutes` it stops and counts what it read.

An input is `uncaught` when anything but a `LlmrecError` comes back, or its process dies. It is
`wrapped` when the error has a sentence but the cause is one of our own mistakes (`KeyError` and the
like). An input that took over five seconds is read a second time and its shorter time counts, since
the machine may have stood still; `repeated` says how many. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from llmrec_core.costmodel.facts.config_reading import from_config
from llmrec_core.data.importing import limits
from llmrec_core.data.importing.described_table import Options
from llmrec_core.data.importing.isolated import run_import
from llmrec_core.data.importing.plan import plan_import
from llmrec_core.data.importing.reading import read_plan
from llmrec_core.data.importing.request import ImportRequest
from llmrec_core.errors import LlmrecError
from llmrec_core.settings import Settings
from tests import fuzz_seeds

BATCH = 2_000
SLOW_S = 5.0
STUCK_S = 120.0
"""A batch in which one input takes longer is ended, and that input counts as uncaught."""
OUR_MISTAKES = (KeyError, IndexError, AttributeError, TypeError, NameError, AssertionError)


class Outcome(NamedTuple):
    """What came back for one input."""

    number: int
    kind: str
    verdict: str
    """`read`, `refused`, `wrapped` or `uncaught`."""
    detail: str
    seconds: float


def outcome(number: int, seed: int, folder: Path) -> Outcome:
    """Read one input in this process."""
    rng = np.random.default_rng((seed, number))
    start = time.monotonic()
    kind, verdict, detail = "", "read", ""
    try:
        if rng.random() < 0.5:
            kind, config = fuzz_seeds.config(rng)
            from_config(config)
        else:
            kind, name, content = fuzz_seeds.file(rng)
            path = folder / name
            path.write_bytes(content)
            try:
                plan = plan_import(path, Options())
                read_plan(plan, "fuzz", Options())
            finally:
                limits.lift_growth()
                path.unlink()
    except LlmrecError as error:
        is_ours = isinstance(error.__cause__, OUR_MISTAKES)
        verdict = "wrapped" if is_ours else "refused"
        detail = repr(error.__cause__)[:200] if is_ours else ""
    except Exception:  # noqa: BLE001 - whatever comes back is what is looked for
        verdict, detail = "uncaught", " | ".join(traceback.format_exc(limit=-2).splitlines())[-400:]
    return Outcome(number, kind, verdict, detail, time.monotonic() - start)


def _batch(first: int, count: int, seed: int, pipe: multiprocessing.connection.Connection) -> None:
    limits.limit_process(cpu_s=100_000)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, first + count):
            pipe.send(number)
            pipe.send(outcome(number, seed, Path(folder)))
    pipe.send(None)


def in_process(inputs: int, seed: int, ends: float, first: int = 0) -> list[Outcome]:
    """Read the inputs in batches, each in a process of its own with an import's memory."""
    context = multiprocessing.get_context("fork")
    outcomes: list[Outcome] = []
    last = first + inputs
    while first < last and time.monotonic() < ends:
        receiver, sender = context.Pipe(duplex=False)
        count = min(BATCH, last - first)
        process = context.Process(target=_batch, args=(first, count, seed, sender))
        process.start()
        sender.close()
        under_way = first
        while True:
            try:
                message = receiver.recv() if receiver.poll(STUCK_S) else "stuck"
            except EOFError:
                message = "died"
            if isinstance(message, Outcome):
                outcomes.append(message)
            elif isinstance(message, int):
                under_way = message
            else:
                break
        if message is None:
            first += count
        else:  # the process of this batch is gone: the next one begins behind the input it was at
            process.kill()
            outcomes.append(Outcome(under_way, "", "uncaught", f"the process {message}", STUCK_S))
            first = under_way + 1
        process.join()
        print(f"{first:,} of {last:,}", file=sys.stderr, flush=True)
    return outcomes


def read_again(slow: Outcome, seed: int) -> Outcome:
    """The shorter of two readings: the machine may have stood still in the first."""
    (second,) = in_process(1, seed, math.inf, slow.number)
    return min(slow, second, key=lambda outcome: outcome.seconds)


def through_the_child(number: int, seed: int, folder: Path) -> Outcome:
    """Import one file as a page does it."""
    rng = np.random.default_rng((seed, 1, number))
    kind, name, content = fuzz_seeds.file(rng)
    path = folder / name
    path.write_bytes(content)
    settings = Settings(folder / "home", f"sqlite:///{folder / 'ledger.db'}", 30.0)
    start = time.monotonic()
    verdict, detail = "read", ""
    try:
        answer = run_import(ImportRequest(path=str(path), name="fuzz"), settings)
        verdict = "refused" if answer.problems else "read"
    except LlmrecError as error:
        # the child's death is a sentence too, but it is not the answer that was wanted
        died = "import process" in str(error) or "fault in the program" in str(error)
        verdict, detail = ("uncaught", str(error)[:300]) if died else ("refused", "")
    except Exception:  # noqa: BLE001 - whatever comes back is what is looked for
        verdict, detail = "uncaught", traceback.format_exc(limit=-2)[-400:]
    finally:
        path.unlink()
        shutil.rmtree(folder / "home", ignore_errors=True)
    return Outcome(number, kind, verdict, detail, time.monotonic() - start)


def results(outcomes: list[Outcome], seconds: float) -> dict[str, object]:
    """Counts of what came back, and the first examples of what should not."""
    verdicts = Counter(outcome.verdict for outcome in outcomes)
    kinds: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        kinds.setdefault(outcome.kind, Counter())[outcome.verdict] += 1
    faults = [o for o in outcomes if o.verdict in ("uncaught", "wrapped")]
    return {
        "inputs": len(outcomes),
        "uncaught": verdicts["uncaught"],
        "wrapped": verdicts["wrapped"],
        "over_5s": sum(outcome.seconds > SLOW_S for outcome in outcomes),
        "slowest_s": round(max((outcome.seconds for outcome in outcomes), default=0.0), 2),
        "read": verdicts["read"],
        "refused": verdicts["refused"],
        "seconds": round(seconds, 1),
        "kinds": {kind: dict(counts) for kind, counts in sorted(kinds.items())},
        "examples": [o._asdict() for o in faults[:20]],
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the program; 1 when something was uncaught."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=2_000, help="read in process")
    parser.add_argument("--children", type=int, default=0, help="imported through the child")
    parser.add_argument("--minutes", type=float, default=600.0, help="for each of the two")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="only the last line")
    options = parser.parse_args(arguments)
    start = time.monotonic()
    outcomes = in_process(options.inputs, options.seed, start + 60 * options.minutes)
    repeated = sum(outcome.seconds > SLOW_S for outcome in outcomes)
    outcomes = [
        read_again(outcome, options.seed) if outcome.seconds > SLOW_S else outcome
        for outcome in outcomes
    ]
    document: dict[str, object] = {
        "results": results(outcomes, time.monotonic() - start) | {"repeated": repeated}
    }
    if options.children:
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            imported = []
            for number in range(options.children):
                if time.monotonic() > start + 60 * options.minutes:
                    break
                imported.append(through_the_child(number, options.seed, Path(folder)))
        document["children"] = results(imported, time.monotonic() - start)
        outcomes += imported
    if not options.json:
        for fault in (o for o in outcomes if o.verdict in ("uncaught", "wrapped")):
            print(f"{fault.verdict} {fault.kind} {fault.number}: {fault.detail}")
    print(json.dumps(document))
    return int(any(outcome.verdict == "uncaught" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
