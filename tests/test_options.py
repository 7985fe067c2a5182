"""Options work or are refused: each one of these commands changes what is said, or ends in a sentence.

The rows (tests/option_rows.py) are all options that the commands have. What a clock measures differs from one time to the next: the windows
and peaks of `profile` are fixed here, and the fields of TIMED are left out of what is compared.
"""

from __future__ import annotations

import json
import re

import pytest
import typer

from llmrec_core.cli import main
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.profiling import profiler
from llmrec_core.running import profile_answer
from llmrec_core.settings import load_settings
from tests.finished_home import PEAKS, READER, FixedWindows, make_finished_home
from tests.option_rows import CHANGES, NOT_WALKED, REFUSED

TIMED = ("seconds", "score_s", "cpu_seconds", "usd", "created")
"""Fields of an answer, at any depth, that hold what a clock said or its price."""
MEASURED = re.compile(r"[\d.]+ (ms|µs|s)\b")
"""Times in the sentence about a policy."""
TIMED_OF_GRID = ("load_s", "grid", "layers", "roofline", "rows")
"""Of a grid only the sizes and FLOPs of its rows are compared."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("options")
    make_finished_home(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMREC_HOME", str(folder))
        ledger = Ledger.open(load_settings())
        for run in ("first", "second"):
            ledger.note("somebody", "cancel", run)
        ledger.close()
    return folder


@pytest.fixture
def call(finished, monkeypatch, command_line, tmp_path):
    """Run a command on the home of two finished runs; returns status and what was said."""
    monkeypatch.setenv("LLMREC_HOME", str(finished))
    monkeypatch.delenv("LLMREC_LEDGER", raising=False)
    monkeypatch.setattr(profile_answer, "Serving", FixedWindows)
    monkeypatch.setattr(profile_answer, "peaks_of_worker", lambda *of: PEAKS)
    monkeypatch.setattr(profiler, "measure_peaks", lambda *of: PEAKS)
    monkeypatch.setattr(
        profile_answer, "load_dataset", lambda _, settings: load_dataset("ring", settings)
    )
    (tmp_path / "policy.toml").write_text('block = ["i6"]\n', encoding="utf-8")
    kept = {}

    def run(line: str, *, fresh: bool = False) -> tuple[int, str]:
        if line in kept and not fresh:
            return kept[line]
        words = [
            READER if word == "READER" else
            word.replace("FOLDER", str(finished / "backbone")).replace("OUT", str(tmp_path))
            for word in line.split()
        ]  # fmt: skip
        done = command_line(*words)
        out = done.out
        for file in sorted(tmp_path.glob("WRITTEN*")):
            out = f"{file.name}\n{file.read_text(encoding='utf-8')}\n{out}"
            file.unlink()
        kept[line] = done.status, said(words[0], out) if done.status == 0 else done.err
        return kept[line]

    return run


def said(command: str, out: str) -> str:
    """What a command printed, without what a clock measured."""
    lines = out.strip().splitlines()
    if command == "policy":
        lines = [MEASURED.sub("… ms", line) for line in lines]
        out = "\n".join(lines)
    if not lines or not lines[-1].startswith("{"):
        return out
    body = json.loads(lines[-1])
    if "grid" in body:
        body["sizes"] = [(row["protocol"], row["n"]) for row in body["rows"]]
        body["flops"] = [row["flops"] for row in body["grid"]]
        body = without(body, TIMED_OF_GRID)
    # Windows of a profile are fixed here, so all of it is compared but the account of its time.
    body = without(body, ("seconds",) if command == "profile" else TIMED)
    return "\n".join([*lines[:-1], json.dumps(body)])


def without(body, names):
    if isinstance(body, list):
        return [without(part, names) for part in body]
    if isinstance(body, dict):
        return {name: without(part, names) for name, part in body.items() if name not in names}
    return body


def commands(built=None, path=()):
    """Every command by its words."""
    built = built or typer.main.get_command(main.app)
    for name, inner in getattr(built, "commands", {}).items():
        yield from commands(inner, (*path, name))
    if not hasattr(built, "commands"):
        yield " ".join(path), built


def options_of(command):
    return {
        parameter.opts[0]
        for parameter in command.params
        if parameter.name != "help" and parameter.opts[0].startswith("-")
    }


def test_no_option_is_without_a_row():
    there_are = {name: options_of(command) for name, command in commands()}
    with_options = {name for name, options in there_are.items() if options}
    assert with_options == {*CHANGES, *NOT_WALKED}
    assert {name: set(rows) for name, rows in CHANGES.items()} == {
        name: there_are[name] for name in CHANGES
    }


@pytest.mark.parametrize("command", list(CHANGES))
def test_every_option_changes_what_is_said_or_is_refused(command, call):
    silent = []
    for option, (base, varied) in CHANGES[command].items():
        status, plain = call(base)
        assert status == 0, plain
        if call(varied)[1] == plain:
            silent.append(option)
    assert silent == []


@pytest.mark.parametrize("line", list(REFUSED))
def test_what_would_not_be_read_is_refused(line, call):
    status, sentence = call(line)
    assert status == 2
    assert REFUSED[line] in " ".join(sentence.split())


@pytest.mark.parametrize(
    "line",
    sorted({
        base
        for command, rows in CHANGES.items()
        for base, _ in rows.values()
        if command != "data shuffle-ties"  # the second copy of one name is refused
    }),
)  # fmt: skip
def test_the_same_words_say_the_same(line, call):
    """Otherwise a difference would say nothing of an option."""
    first = call(line)
    assert first[0] == 0, first[1]
    assert call(line, fresh=True) == first
