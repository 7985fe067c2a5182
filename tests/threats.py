"""The list of threats and faults, and the page that names the tests of each.

    python -m tests.threats        write docs/reference/threats.md
    python -m tests.threats --json count the rows, the tests, and the rows without one

A test says what it proves with `@pytest.mark.threat("zip-bomb")`, or for its whole module with
`pytestmark`. The markers are read from the text of the tests, so that nothing is imported.
"""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "threats.md"
HEAD = """# Threats and faults

What can go wrong or be done to LLMRec Studio, what happens then, and the tests that prove it. The
table is made from the markers in the tests by `python -m tests.threats`.
"""


@dataclass(frozen=True)
class Row:
    """One thing that can happen."""

    key: str
    """As in `@pytest.mark.threat(key)`."""
    threat: str
    behaviour: str


SECTIONS: dict[str, tuple[Row, ...]] = {
    "Memory that files take": (
        Row(
            "decoded-size",
            "A small file decodes to gigabytes: Parquet dictionaries, runs of one value, endless "
            "cells, deep JSON",
            "The decoded size is bounded before and while it is read, in a limited process; a "
            "sentence, at most 1 GB",
        ),
        Row(
            "zip-bomb",
            "An archive that expands without end, or whose members point outside",
            "Size, ratio and number of members are bounded; nothing outside the folder is written",
        ),
        Row(
            "crafted-table",
            "Huge rows, NUL, wrong encoding, duplicate columns, mixed types",
            "A sentence that names file and line; nothing is stored",
        ),
    ),
    "Limits of work": (
        Row(
            "odd-numbers",
            "Numbers out of all bounds in a study, request, policy or estimate",
            "Refused with the field, what came and what was expected",
        ),
        Row(
            "too-large-a-run",
            "A run that cannot fit in memory, GPU memory, disk or time",
            "Refused before it starts, with the nearest setting that fits",
        ),
        Row(
            "resource-limits",
            "A run or an answer takes more memory than it may",
            "The kernel refuses it in that process, and ends the run first; the batch is halved "
            "once with the same histories a step, and the page says so",
        ),
        Row(
            "endless-queue",
            "A program that queues runs or questions without end",
            "2,000 runs and 100 questions may wait; more are refused",
        ),
    ),
    "A ledger that is away": (
        Row(
            "ledger-away",
            "The database stops or is locked when a run ends",
            "The record is a file first; the run, its worker or the next one commits it: one "
            "result, computed once",
        ),
        Row(
            "ledger-locked",
            "Another program holds the database while it is read or written",
            "Waited for, then a sentence; a finished run goes on trying",
        ),
        Row("worker-outage", "The database is away for a while", "The workers live on"),
    ),
    "Imports that are acknowledged": (
        Row("lost-import", "Several imports at once", "Each gets a version of its own"),
        Row(
            "failed-import",
            "An import fails, or the disk is full",
            "What was stored before is as it was",
        ),
    ),
    "Stale data": (
        Row(
            "stale-data",
            "A data set is imported again under the same name",
            "Pages and new runs see the new content; a queued run keeps the version it was "
            "queued for",
        ),
    ),
    "Access": (
        Row(
            "open-to-others",
            "The pages are served on another address than the loopback, or without their guards",
            "They do not start, or answer nobody, without a login or an explicit word",
        ),
        Row(
            "foreign-host",
            "Requests under a foreign host name or from another site's page",
            "Refused, for websockets too",
        ),
        Row("framing", "Another site shows a page in a frame", "Only origins named may"),
        Row(
            "unauthenticated",
            "Somebody who has not logged in, has no role, or whose role is too low",
            "Every page and every action checks the role; refusals are in the audit log",
        ),
        Row("stale-tab", "A tab that was open before its login ended", "It shows nothing more"),
        Row(
            "leak-between-people",
            "Private data of one person reaches another through lists, ids, answers or caches",
            "It does not exist for the other",
        ),
        Row(
            "forget-a-person",
            "Somebody asks that what is known of them be deleted",
            "Their rows leave every version of the data set, and the records of its runs",
        ),
        Row(
            "readable-files",
            "Others on the machine read the home",
            "Folders are 0700, files 0600; a readable file of secrets is refused",
        ),
    ),
    "Frozen and doubled processes": (
        Row(
            "frozen",
            "A run or a worker stands still without ending",
            "It is ended, and its work is tried again; what computes is never ended",
        ),
        Row(
            "two-workers",
            "A worker that was thought dead comes back",
            "It may write nothing; one process has a folder",
        ),
        Row(
            "clock-skew",
            "Clocks of workers and database disagree",
            "Leases count heartbeats and compare no clocks",
        ),
    ),
    "Processes that die": (
        Row(
            "killed-run",
            "kill -9 of a run or a worker at any moment",
            "The run goes on from its last whole checkpoint: one result",
        ),
        Row(
            "restart",
            "The web or the worker ends by itself",
            "Started again, later each time; when one `up` leaves, another takes over",
        ),
        Row(
            "signals",
            "Ctrl-C, SIGTERM, cancel",
            "The step is finished and saved; the run goes back to the queue",
        ),
        Row(
            "bit-identical-resume",
            "Training is cut off and resumed",
            "The weights are those of an uninterrupted training, bit for bit, on one CPU",
        ),
    ),
    "Silent corruption": (
        Row("changed-figure", "A figure in the ledger changes", "Found by its digest, and said"),
        Row("damaged-model", "A file of a model changes, goes or comes", "The model is refused"),
        Row(
            "damaged-checkpoint",
            "A checkpoint is damaged or incomplete",
            "The one before is taken, and the run's page says so",
        ),
        Row("damaged-data", "A stored data set changes on disk", "It is refused"),
        Row("torn-write", "A write is cut off", "The earlier file stays whole"),
        Row("schema", "A ledger of an older or newer version", "Moved up and down with all in it"),
        Row("backup", "The ledger is lost", "`ledger backup` and `restore` bring back what was"),
    ),
    "Exceptions that nobody catches": (
        Row("any-bytes", "Any bytes as a data set", "A plan or a sentence"),
        Row("any-address", "Any text as the ledger's address", "A ledger or a sentence"),
        Row("any-config", "Any JSON as a model's config", "An architecture or a sentence"),
        Row("unreadable-ledger", "A ledger that cannot be read", "A sentence on every page"),
    ),
    "Text from data": (
        Row(
            "script-in-title",
            "A title that is HTML, Markdown, a script or a link",
            "It stays text on every page and in every export; nothing is a link",
        ),
        Row("remote-image", "A title or page that fetches from elsewhere", "No request leaves"),
        Row(
            "terminal-codes",
            "Escape codes and marks of direction in names",
            "Shown as what they are, on one line",
        ),
        Row(
            "formula",
            "A cell that a spreadsheet would take for a formula",
            "It gets an apostrophe in every CSV that is written",
        ),
        Row("path-names", "A name that is a path", "Names never become paths"),
        Row("pickle", "A pickle under any name", "Refused by its content; nothing unpickles"),
    ),
    "Poisoned and prompt-like text": (
        Row(
            "prompt-like",
            "An item's text pleads with the model",
            "Flagged before training; a trained model gives it no more places than any other "
            "sentence of that length",
        ),
        Row("poisoned", "Rare words that go with clicks", "Found at 1 % of the rows"),
        Row("shilling", "Many alike profiles that push an item", "Found and shown"),
        Row("leakage", "Test items reach training or candidates", "Checked for every run"),
    ),
    "Supply chain": (
        Row(
            "model-code",
            "A model that brings code or pickled weights",
            "Refused; code that comes with a model is never run",
        ),
        Row(
            "hub-revision",
            "A model of the hub changes under its name",
            "Only names of the reader's list are fetched, at the commit that stands there",
        ),
        Row("download", "A download is not the pinned one", "Refused before anything is kept"),
        Row(
            "known-holes",
            "A package with a known hole, or another file under its name",
            "Minimums exclude it; one file holds every version with its hashes; silence of the source "
            "is not clean",
        ),
        Row("secrets-in-code", "A secret in the repository", "A scan finds it"),
        Row("secrets", "A secret in a log, a record or on a page", "Replaced by ***"),
        Row("open-ports", "Further ports of libraries", "One port, on the loopback"),
    ),
    "Disk": (
        Row("full-disk", "The disk is full", "The run is paused; nothing stored is lost"),
        Row("growing-home", "The home grows", "`disk` says what takes how much, and prunes"),
    ),
    "Machines": (
        Row("no-meter", "No GPU, no energy counter, a driver that fails", "Unknown, never 0"),
    ),
}
ROWS = {row.key: row for rows in SECTIONS.values() for row in rows}


def proofs() -> dict[str, list[str]]:
    """Return the ids of the tests of each key, in the order of the files."""
    tests: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for key, test in _marked(path):
            tests.setdefault(key, []).append(test)
    return tests


def _marked(path: Path) -> Iterator[tuple[str, str]]:
    """Keys of a file, each with the id of its test."""
    file = path.relative_to(ROOT).as_posix()
    module = ast.parse(path.read_text(encoding="utf-8"))
    whole = [
        key
        for node in module.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
        for key in _keys(node.value)
    ]
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            own = [key for decorator in node.decorator_list for key in _keys(decorator)]
            for key in [*whole, *own]:
                yield key, f"{file}::{node.name}"


def _keys(expression: ast.expr) -> Iterator[str]:
    for node in ast.walk(expression):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.threat":
            yield from (ast.literal_eval(word) for word in node.args)


def page() -> str:
    """Return the page of the documentation."""
    tests = proofs()
    parts = [HEAD]
    for title, rows in SECTIONS.items():
        parts.append(f"\n## {title}\n\n| threat | behaviour | tests |\n|---|---|---|\n")
        for row in rows:
            ids = "<br>".join(f"`{test}`" for test in tests.get(row.key, [])) or "**none**"
            parts.append(f"| {row.threat} | {row.behaviour} | {ids} |\n")
    return "".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="end with one JSON line")
    options = parser.parse_args()
    tests = proofs()
    missing = sorted(ROWS.keys() - tests.keys())
    PAGE.write_text(page(), encoding="utf-8")
    for title, rows in SECTIONS.items():
        count = len({test for row in rows for test in tests.get(row.key, [])})
        print(f"{count:>4} tests  {title}")
    print(f"{len(ROWS)} rows, {len(missing)} without a test: {', '.join(missing) or 'none'}")
    if options.json:
        count = len({test for ids in tests.values() for test in ids})
        results = {"rows": len(ROWS), "tests": count, "missing": missing}
        print(json.dumps({"results": results}))


if __name__ == "__main__":
    main()
