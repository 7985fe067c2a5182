"""Opening the ledger imports nothing heavy: a page waits for this import on every start of the web."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "transformers", "peft", "shap", "ray", "accelerate", "pandas", "alembic", "typer")


def test_opening_the_ledger_imports_no_heavy_library() -> None:
    program = "import sys, llmrec_core.ledger.ledger; print([m for m in {!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program.format(HEAVY)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
