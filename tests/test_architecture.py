"""Which part may import which (DESIGN 3): pages → experiments → everything else, and torch only where it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "llmrec_core"
VOCABULARY = {"llmrec_core.experiments.spec", "llmrec_core.experiments.context"}
"""What of `experiments` every part may name: the spec of a run, and the context it reports to."""
HEAVY = ("torch", "transformers", "peft", "shap", "ray", "accelerate")
NEEDS_TORCH = ("models", "training", "scoring")
NEURAL = (
    "bi_encoder",
    "language_model",
    "sasrec",
    "explain.language",
    "explain.tree",
    "explain.drilldown",
    "profiling.profiler",
)
"""Modules elsewhere that run a network themselves."""
SOURCES = sorted(CORE.rglob("*.py"))


def imports(path: Path, *, everywhere: bool) -> Iterator[str]:
    """Modules a file imports: all, or only those that importing it brings (no function bodies, no TYPE_CHECKING)."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        typing_only = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if everywhere or not (typing_only or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))):
            waiting.extend(ast.iter_child_nodes(node))


def package(path: Path) -> str:
    return path.relative_to(CORE).parts[0]


def of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=of)
def test_the_engine_knows_no_page(path):
    found = {name.split(".")[0] for name in imports(path, everywhere=True)}
    assert not found & {"streamlit", "pages"}


@pytest.mark.parametrize(
    "path", [one for one in SOURCES if package(one) not in ("experiments", "cli.py", "__main__.py")], ids=of
)
def test_parts_do_not_import_the_experiments_above_them(path):
    """At import time; a command line of a part may do so inside its commands."""
    above = {name for name in imports(path, everywhere=False) if name.startswith("llmrec_core.experiments.")}
    assert {name for name in above if ".".join(name.split(".")[:3]) not in VOCABULARY} == set()


WEB = sorted([ROOT / "app.py", *(ROOT / "pages").rglob("*.py")])


@pytest.mark.parametrize("path", WEB, ids=of)
def test_pages_reach_no_machine_learning(path):
    found = set(imports(path, everywhere=True))
    assert not {name.split(".")[0] for name in found} & set(HEAVY)
    assert not {name for name in found if name.startswith("llmrec_core.") and name.split(".")[1] in NEEDS_TORCH}


PROBE = """
import importlib, pkgutil, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {heavy}:
            raise ImportError("refused " + name)

sys.meta_path.insert(0, Refuse())
import llmrec_core

skip = {skip}
for module in pkgutil.walk_packages(llmrec_core.__path__, "llmrec_core."):
    if module.name.endswith("__main__") or ".migrations." in module.name or any(f".{{part}}." in module.name + "." for part in skip):
        continue
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        print(module.name, error)
"""


def test_everything_else_imports_without_torch():
    """A laptop without it can read results; only models, training, scoring and the neural recommenders need it."""
    program = PROBE.format(heavy=set(HEAVY) | {"streamlit"}, skip=set(NEEDS_TORCH) | set(NEURAL))
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_reading_the_ledger_is_light():
    """A page waits for this import on every start of the web."""
    program = "import sys, llmrec_core.experiments.ledger; print([m for m in {!r} if m in sys.modules])"
    wanted = (*HEAVY, "pandas", "alembic", "typer")
    done = subprocess.run(
        [sys.executable, "-c", program.format(wanted)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
