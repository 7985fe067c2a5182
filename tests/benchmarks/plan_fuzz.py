"""Odd numbers at every numeric option, cell and page address of the cost model: what comes back?

    python tests/benchmarks/plan_fuzz.py [--draws 10000] [--pages 500] [--seed 0] [--json]

Each draw is a question with infinities, NaN, 0, negatives, 1e308 or digits without end in up to three
of its numbers (tests/costmodel/fuzz.py): `plan`, `estimate`, rows of a table, a model's config, a
training job with an own device, and, for `--pages` of the draws, an address of the Plan page opened in
a test browser of Streamlit. A draw is a fault when it ends in a traceback or shows a figure that is
not finite. Faults are written to standard error and make the program end with 1. The last line is
JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.costmodel import fuzz

SHARES = {"plan": 0.4, "estimate": 0.3, "rows": 0.1, "configs": 0.1, "trainings": 0.1}
"""Of the draws that open no page."""


def faults(
    strategy: st.SearchStrategy[Any], check: Callable[[Any], object], draws: int, start: int
) -> list[str]:
    """Run every draw and keep what went wrong; a fault does not end the run."""
    kept: list[str] = []
    drawn = 0

    @seed(start)
    @settings(
        max_examples=draws,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(value: Any) -> None:
        nonlocal drawn
        drawn += 1
        try:
            check(value)
        except Exception:  # noqa: BLE001 - whatever is wrong is what is looked for
            kept.append(f"{value}: {traceback.format_exc(limit=-1).splitlines()[-1][:300]}")

    each()
    assert drawn >= draws, f"{drawn} of {draws} draws"
    return kept


def open_page(home: Path) -> Callable[[dict[str, str]], None]:
    """A function that opens the Plan page by an address and looks at it."""
    from streamlit.testing.v1 import AppTest

    from llmrec_core.installation import STUDIO

    os.environ["LLMREC_HOME"] = str(home)

    def opened(address: dict[str, str]) -> None:
        app = AppTest.from_file(str(STUDIO), default_timeout=120)
        app.run()
        app.switch_page(str(ROOT / "pages" / "answer" / "plan.py"))
        for name, value in address.items():
            app.query_params[name] = value
        app.run()
        fuzz.page_answer(app, address)

    return opened


def main() -> int:
    """Draw, ask, and print what went wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--pages", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="300 draws, 10 of them pages")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON line")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.draws, arguments.pages = 300, 10
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LLMREC_HOME"] = folder
        fronts: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], object]]] = {
            "plan": (fuzz.plans(), fuzz.command),
            "estimate": (fuzz.estimates(), fuzz.command),
            "rows": (fuzz.rows(), fuzz.row_answer),
            "configs": (fuzz.configs(), fuzz.config_answer),
            "trainings": (fuzz.trainings(), fuzz.training_answer),
            "pages": (fuzz.addresses(), open_page(Path(folder))),
        }
        results: dict[str, Any] = {"draws": 0, "faults": 0, "by_front": {}}
        for name, (strategy, check) in fronts.items():
            count = arguments.pages
            if name != "pages":
                count = round(SHARES[name] * (arguments.draws - arguments.pages))
            wrong = faults(strategy, check, count, arguments.seed) if count else []
            results["draws"] += count
            results["faults"] += len(wrong)
            results["by_front"][name] = {"draws": count, "faults": len(wrong)}
            if not arguments.json:
                print(f"{name}: {len(wrong)} faults in {count} draws", flush=True)
            for line in wrong[:10]:
                print(line, file=sys.stderr, flush=True)
    conditions = {
        "seed": arguments.seed,
        "python": platform.python_version(),
        "seconds": round(time.perf_counter() - began, 1),
    }
    print(json.dumps({"bench": "plan_fuzz", "conditions": conditions, "results": results}))
    return int(results["faults"] > 0)


if __name__ == "__main__":
    sys.exit(main())
