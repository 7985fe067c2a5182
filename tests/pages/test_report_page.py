"""The page Report: its preview shows what its file holds, and a terminal writes the same file."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import pytest

from llmrec_core.explain import many_rows
from llmrec_core.reading import report
from llmrec_core.reading.typed_numbers import as_typed
from llmrec_core.settings import Settings
from tests import synthetic
from tests.pages.test_pages import unescaped

STAMP = re.compile(r"\d{2}:\d{2} UTC")
TYPED = {
    "requests": "3,5",
    "budget": "512,25",
    "p95": "1,1",
    "per_million": "0,75",
    "share": "95,5",
    "worth": "0,00123",
    "price": "0,21",
    "utilisation": "37,7",
    "watts": "61",
    "grid": "7,25",
}


@pytest.fixture
def written(monkeypatch):
    """What `report.render` returned, newest last."""
    files = []
    render = report.render

    def kept(*of, **more):
        files.append(render(*of, **more))
        return files[-1]

    monkeypatch.setattr(report, "render", kept)
    return files


def command_of(app):
    (line,) = [one.value for one in app.code if " report " in one.value]
    python, flag, package, *rest = shlex.split(line)
    assert (python, flag, package) == ("python", "-m", "llmrec_core")
    return rest


@pytest.mark.parametrize("typed", [{}, TYPED], ids=["untouched", "typed"])
def test_a_terminal_writes_the_file_of_the_page(
    open_page, command_line, written, typed, tmp_path, monkeypatch
):
    app = open_page("answer/report.py", "filled", **typed)
    app.text_area(key="report_comment").set_value("First 'line'\nSecond & last").run()
    assert not app.exception
    page = written[-1]
    monkeypatch.chdir(tmp_path)
    rest = command_of(app)
    assert command_line(*rest).status == 0
    file = (tmp_path / rest[rest.index("--out") + 1]).read_text(encoding="utf-8")
    assert STAMP.sub("", file) == STAMP.sub("", page)
    if typed:
        for part in (
            "3.50 M requests",
            "$512.25",
            "at most $0.75 per million",
            "1.10 ms",
            "at least 95.5 % of the best quality",
            "$0.00123",
            "$0.21",
            "37.7 %",
            "61 W",
        ):
            assert part in file


ENDS = {
    "requests": ("--requests-per-month", 1e-6, 1e9, 1e6),
    "budget": ("--usd-per-month", 0.01, 1e12, 1),
    "p95": ("--p95-ms", 0.001, 1e7, 1),
    "per_million": ("--usd-per-million", 0, 1e12, 1),
    "share": ("--share-of-best", 1, 100, 0.01),
    "worth": ("--hit-worth-usd", 0, 1e9, 1),
    "price": ("--usd-per-hour", 0.0001, 1e4, 1),
    "utilisation": ("--utilisation", 0.1, 100, 0.01),
    "watts": ("--watts", 0.1, 1e5, 1),
    "grid": ("--grid-g-per-kwh", 0, 2000, 1),
}


@pytest.mark.parametrize("place", [0, 1], ids=["low", "high"])
def test_page_and_terminal_refuse_the_same_numbers(open_page, command_line, place, tmp_path):
    beyond = {key: ends[1 + place] * (1.01 if place else 0.99) for key, ends in ENDS.items()}
    beyond = {key: value or -1.0 for key, value in beyond.items()}
    app = open_page("answer/report.py", "filled", **{key: as_typed(v) for key, v in beyond.items()})
    assert len(
        [one for one in app.error if "expected a" in one.value or "or more" in one.value]
    ) == len(ENDS)
    out = ("report", "--study", "default", "--out", str(tmp_path / "r.html"))
    for key, (option, *ends, factor) in ENDS.items():
        refused = command_line(*out, option, repr(beyond[key] * factor))
        assert refused.status == 2, option
        assert f"{option} is " in refused.err
        assert "; expected a" in refused.err
        taken = command_line(*out, option, repr(ends[place] * factor))
        assert taken.status == 0, taken.err


def link_of(app):
    (line,) = [
        one.value for one in app.code if one.value.startswith("?") and "embed=" not in one.value
    ]
    return dict(parse_qsl(line[1:], strict_parsing=True))


def test_the_preview_shows_needs_plan_and_the_warnings_of_the_explained_run(open_page, tmp_path):
    ledger = synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))
    explained = report.gather(ledger, "default").explanation
    assert explained is not None
    alike = {"users": 30, "mean_abs_spearman": {"mean": 0.6, "low": 0.5, "high": 0.7}}
    for run in ledger.runs():
        ledger.add_document(run.id, many_rows.DOCUMENT, {"randomisation": alike})
    app = open_page("answer/report.py", tmp_path, requests="3", budget="1000", price="0.2")
    said = unescaped(app)
    assert "For: 3.00 M requests a month · at most $1,000 a month" in said
    assert re.search(r"\$[\d,.]+ a month with ", said), "the plan of the file"
    assert explained.sentence in said
    assert "much like those of a model with random layers" in said
    assert f"Explained run: {explained.run}" in said


def test_the_link_opens_the_page_with_all_that_was_typed(open_page):
    app = open_page("answer/report.py", "filled", **TYPED)
    app.text_input(key="worth").set_value("0,5").run()
    link = link_of(app)
    assert link == {**TYPED, "worth": "0,5", "study": "default"}
    other = open_page("answer/report.py", "filled", **link)
    assert link_of(other) == link
    assert command_of(other) == command_of(app)


def test_the_name_of_the_file_holds_study_and_day(open_page):
    app = open_page("answer/report.py", "filled")
    rest = command_of(app)
    assert rest[rest.index("--out") + 1] == f"default-{datetime.now(UTC):%Y-%m-%d}.html"
