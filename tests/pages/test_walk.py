"""Every table and every chart of every page: found in the source, reached by a walk, checked one by one.

The walk opens each page with each of its tabs over the recorded sample and over an odd study (zeros, nones, ties, twin
names). What the source draws and the walk does not reach fails, so that a new table or chart is checked or named.
"""

from __future__ import annotations

import ast
import csv
import dataclasses
import html
import io
import math
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.testing.v1 import AppTest

from llmrec_core.checks import check_files, label_files
from llmrec_core.checks.policy import ReviewQueue
from llmrec_core.contract.spec_files import StudySpec
from llmrec_core.costmodel.facts import csv_facts
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.data.importing.reading import import_path
from llmrec_core.files import safe_cell
from llmrec_core.installation import STUDIO
from llmrec_core.language import t
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.ledger.rows import RequestRow
from llmrec_core.reading.groups import name_without_seed
from llmrec_core.reading.published import PublishedFigure
from llmrec_core.reading.table import Table, from_frame
from llmrec_core.settings import Settings
from pages.shared import records, samples, tables
from pages.shared.navigation import MAP
from tests import synthetic
from tests.pages.test_conversation import answer

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "assets" / "sample" / "study.json"
DRAWN_BY_TABLE = ROOT / "pages" / "shared" / "tables.py"
"""The one place that calls `st.dataframe`."""

# ── what the source draws ────────────────────────────────────────────────────────────────────────


@dataclasses.dataclass(frozen=True)
class Place:
    """A call that draws a table or a chart."""

    file: str
    first_line: int
    last_line: int

    def holds(self, file: str, line: int) -> bool:
        return self.file == file and self.first_line <= line <= self.last_line


CHARTS = {"plotly_chart", "line_chart", "bar_chart", "area_chart", "scatter_chart", "altair_chart"}


def places(kind: str) -> list[Place]:
    """Calls of `tables.table` or of `plotly_chart` in the pages."""
    listed = []
    for path in sorted((ROOT / "pages").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            name, owner = node.func.attr, ast.unparse(node.func.value)
            drawn = {"table": (owner, name) == ("tables", "table"), "chart": name in CHARTS}
            if name in ("dataframe", "data_editor") or (owner, name) == ("st", "table"):
                assert path == DRAWN_BY_TABLE, f"{path} draws a table past pages/shared/tables.py"
            elif drawn[kind]:
                listed.append(Place(str(path), node.lineno, node.end_lineno or node.lineno))
    return listed


def tab_addresses(page: str) -> list[dict[str, str]]:
    """The address of each tab of a page; one empty address where it has none."""
    tree = ast.parse((ROOT / "pages" / page).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "address.tabs":
            names, key = node.args
            if isinstance(names, ast.Name):  # as it was written first
                names = next(
                    line.value
                    for line in tree.body
                    if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == names.id
                )
            assert isinstance(names, ast.Dict)
            return [{ast.literal_eval(key): ast.literal_eval(name)} for name in names.keys]
    return [{}]


# ── the homes ────────────────────────────────────────────────────────────────────────────────────

ZERO = {"flops_per_request", "usd_per_hour", "peak_memory_bytes", "train_s", "foreign_load"}
UNKNOWN = {"latency_p95_s", "latency_p50_s", "throughput_requests_per_s", "weight_bytes", "auc"}
ODD = {
    # name: (line of ROWS, option that tells twins apart, figures that are 0, figures that are None)
    "Popularity": (0, 0.0, ZERO, set()),
    "Twin, a": (2, 1.0, set(), set()),
    "Twin, b": (2, 2.0, set(), set()),
    "Unknown": (4, 0.0, set(), UNKNOWN),
    "Reader": (7, 0.0, set(), set()),
    "Reader, 4 layers": (8, 0.0, set(), {"latency_p95_s"}),
    "Reader, int8": (11, 0.0, set(), {"peak_memory_bytes"}),
}
RATINGS = "user_id,item_id,rating,timestamp\n" + "".join(
    f"u{user},i{item},{1 + item % 5},{1_500_000_000 + item * 90_000}\n"
    for user in range(6)
    for item in range(5)
)


def gate_body() -> dict:
    """What a gate learned, with a group that nobody helped and a loss of nothing."""
    group = {"people": 5, "expected": 0.0, "observed": 0.0, "standard_error": 0.001}
    return {
        "outcome": "some", "metric": "ndcg@10", "people": 10, "share": 0.2, "served_share": 0.2,
        "ndcg": 0.05, "always": 0.05, "never": 0.0,
        "difference": {"mean": 0.0, "low": 0.0, "high": 0.0}, "calibration_error": 0.0,
        "calibration_error_by_chance": 0.001, "bins": [group, group | {"expected": 0.02}],
        "curve": [{"share": share, "ndcg": share / 20} for share in (0.0, 0.2, 1.0)],
    }  # fmt: skip


def odd_home(home: Path) -> Ledger:
    """A study with zeros, nones, ties and two runs of one name, and everything that pages show beside one."""
    settings = Settings(home, f"sqlite:///{home / 'ledger.db'}", 30.0)
    ledger = Ledger.open(settings)
    specs = {}
    for name, (line, option, _, _) in ODD.items():
        spec = synthetic.spec(synthetic.ROWS[line])
        recommender = dataclasses.replace(
            spec.recommender, options={"l2": option} if option else spec.recommender.options
        )
        specs[name] = dataclasses.replace(
            spec, name="Twin" if name.startswith("Twin") else name, recommender=recommender,
            weights_from=""
        )  # fmt: skip
    ledger.add_study(StudySpec("odd", "Zeros, nones, ties, twins", tuple(specs.values())))
    while lease := ledger.claim("test-worker"):
        name = next(name for name, spec in specs.items() if spec.to_dict() == lease.spec)
        line, _, zero, unknown = ODD[name]
        figures, samples, documents = synthetic.record(synthetic.ROWS[line], line)
        figures = [
            dataclasses.replace(figure, value=0.0 if figure.name in zero else None, low=None, high=None,
                                reason="" if figure.name in zero else "not counted")
            if figure.name in zero | unknown else figure
            for figure in figures
        ]  # fmt: skip
        if unknown:
            documents = {
                key: documents[key] for key in ("versions", "device", "conditions", "slices")
            }
        if name == "Reader":
            documents |= {"gate": gate_body()}
        curves = [("train_loss", 1, 2.0), ("train_loss", 2, 1.0)]
        ledger.report(lease, ("measure", 1, 1), curves, ["done"])
        ledger.finish(lease, figures, samples, documents)
    curve = [
        {"method": method, "labels": labels, "value": 0.1, "low": 0.0, "high": 0.2, "seeds": [0.1], "train_s": 1.0,
         "train_usd": price}
        for method, price in (("Item-kNN", 0.0), ("LoRA", 1e-5), ("Unpriced", None)) for labels in (0, 100)
    ]  # fmt: skip
    body = {"rows": curve, "metric_title": "NDCG@10", "conditions": "one seed"}
    label_files.write("films", body, settings)
    ReviewQueue.of("ml-100k", settings).add(
        {"7": synthetic.HOSTILE, "10": "damaged", "9": "damaged"}
    )
    (home / "ratings.csv").write_text(RATINGS)
    import_path(home / "ratings.csv", "shop", settings)
    check = {"subject": "ease", "check": "candidates", "passed": True, "detail": "6 users: none"}
    body = {"content_hash": load_dataset("shop", settings).content_hash, "seconds": 2.0}
    body |= {"protocol": "loo/100-uniform", "users": 6, "rows": [check, check | {"passed": None}]}
    check_files.write(body, settings)
    return ledger


# ── answers of a worker ──────────────────────────────────────────────────────────────────────────


def many() -> dict:
    """What the worker says about many people: a group of no weight, a value without an error."""
    group = {
        "group": "1",
        "mean_abs": 0.0,
        "low": None,
        "high": None,
        "mean": 0.1,
        "users": 9,
        "players": 9,
    }
    value = {"user_id": "10", "item_id": "2", "player": "x", "kind": "item", "recency": 1, "genre": "", "value": 0.0,
             "error": None}  # fmt: skip
    return {
        "rows": [value, {**value, "user_id": "9", "error": 0.1}], "users": 9, "seconds": 3.0, "reasons": [],
        "groups": {"recency": [group], "genre": [], "popularity": [group]}, "fields": [group],
        "surrogate": {"coefficients": {"recency": -0.2, "genre": 0.0}, "fidelity_r2": None, "rows": 90, "users": 9},
        "randomisation": None, "bias": [],
    }  # fmt: skip


def measured() -> dict:
    """A profile of two sizes and one layer."""
    row = {"name": "latency_p50_s", "value": 0.02, "unit": "s", "protocol": "request/50/batch-1"}
    other = {**row, "value": 3.0, "protocol": "request/50/batch-8"}
    layer = {"layer": 0, "part": "attention", "seconds": 0.0, "flops": 8.0}
    work = {
        "name": "flops_per_request",
        "value": 8.82e9,
        "unit": "FLOP",
        "protocol": "request/50/batch-1",
    }
    return {"rows": [row, other, work], "layers": [layer], "roofline": None}


def explained(question: RequestRow) -> dict:
    """An explanation with everything that its page may be asked for."""
    both = answer(rival="Brazil (1985)", rival_id="7", prediction=0.5, base=0.0)
    item = {"item_id": "1", "title": "Alien", "score": 0.9, "before": 1.5, "place_before": 1}
    return answer(
        contrast=both,
        without={"removed": ["Star Wars"], "text": "The same order.", "items": [item]},
        curves={"insertion": [0.0, 1.0], "deletion": [1.0, 0.0]},
        interactions=[{"a": "x", "b": "y", "value": 0.0}],
    )


ANSWERS: dict[str, Callable[[RequestRow], dict]] = {
    "explain": explained,
    "explain-many": lambda question: many(),
    "profile": lambda question: measured(),
    "meters": lambda question: {
        "checks": [
            {"name": "timer", "measured": "1.000 s", "expected": "1 s", "ok": True, "note": ""}
        ]
    },
    # What these find is kept in the home, and shown from there.
    "robustness": lambda question: {"run": question.payload["run"]},
    "policy-effect": lambda question: {"run": question.payload["run"]},
    "label-curve": lambda question: {"curve": question.payload["data"]},
    "check-data": lambda question: {"content_hash": "x"},
    "clean-data": lambda question: {"version": None, "content_hash": "x"},
}


QUEUED = {
    "robustness": "quality_noise_ask",
    "policy": "quality_policy_ask",
    "labels": "quality_label_curve_ask",
    "checks": "quality_data_check_ask",
}
"""Tabs of Quality with the buttons that queue work."""

# ── the walk ─────────────────────────────────────────────────────────────────────────────────────


@dataclasses.dataclass
class Visit:
    """What a page drew: tables and charts with the places in the source that drew them."""

    name: str
    tables: list[tuple[str, int, Table, records.Study | None]] = dataclasses.field(
        default_factory=list
    )
    charts: list[tuple[str, int, go.Figure, str]] = dataclasses.field(default_factory=list)
    words: list[str] = dataclasses.field(default_factory=list)


def shown_words(app: AppTest) -> list[str]:
    kinds = ("markdown", "caption", "info", "warning", "text")
    return [str(part.value).replace("\\", "") for kind in kinds for part in app.main.get(kind)]


class Walk:
    """Opens pages of one home; notes what they draw."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, sample: Path) -> None:
        monkeypatch.setenv("LLMREC_HOME", str(home))
        monkeypatch.delenv("LLMREC_LEDGER", raising=False)
        monkeypatch.setattr(samples, "FILES", (sample,))
        self.visits: list[Visit] = []
        self._note(monkeypatch)
        self.app = AppTest.from_file(str(STUDIO), default_timeout=120)

    def _note(self, monkeypatch: pytest.MonkeyPatch) -> None:
        draw_table, draw_chart = tables.table, DeltaGenerator.plotly_chart
        draw_main = st.plotly_chart

        def table(content, key, file_name, **more):
            caller = sys._getframe(1)
            whole = content if isinstance(content, Table) else from_frame(content)
            note = (caller.f_code.co_filename, caller.f_lineno, whole, more.get("study"))
            self.visits[-1].tables.append(note)
            return draw_table(content, key, file_name, **more)

        def chart(self_or_figure, *figure, **more):
            caller = sys._getframe(1)
            drawn = figure[0] if figure else self_or_figure
            note = (caller.f_code.co_filename, caller.f_lineno, drawn, more["key"])
            self.visits[-1].charts.append(note)
            draw = draw_chart if figure else draw_main
            return draw(self_or_figure, *figure, **more)

        monkeypatch.setattr(tables, "table", table)
        monkeypatch.setattr(DeltaGenerator, "plotly_chart", chart)
        monkeypatch.setattr(st, "plotly_chart", chart)

    def open(self, page: str, **addressed: str) -> AppTest:
        """Open a page as its address says."""
        self.visits.append(Visit(f"{page} {addressed}"))
        self.app.query_params.clear()
        self.app.switch_page(str(ROOT / "pages" / page))
        for name, value in addressed.items():
            self.app.query_params[name] = value
        return self.run()

    def run(self) -> AppTest:
        """Draw the page again; only what it draws now counts."""
        visit = self.visits[-1]
        visit.tables, visit.charts = [], []
        self.app.run()
        assert not self.app.exception, (visit.name, self.app.exception[0].message)
        visit.words = shown_words(self.app)
        return self.app

    def again(self) -> None:
        """Keep what was drawn until here and note what is drawn from here on apart."""
        self.visits.append(Visit(self.visits[-1].name))

    def answered(self, ledger: Ledger) -> AppTest:
        """Answer every question as a worker would, and draw the page again."""
        while question := ledger.claim_request("w"):
            assert ledger.close_request(question, ANSWERS[question.kind](question))
        self.again()
        return self.run()


def walk_every_page(walk: Walk) -> None:
    for pages in MAP.values():
        for page, *_ in pages:
            for addressed in tab_addresses(page):
                walk.open(page, **addressed)


def walk_what_is_asked(walk: Walk, ledger: Ledger) -> None:
    """The steps behind buttons and switches: questions to a worker, other drawings of the same."""
    walk.open("measure/profile.py", profile_shape="sizes", profile_figure="flops_per_request")
    app = walk.open("measure/profile.py", profile_figure="flops_per_request")
    next(button for button in app.main.get("button") if button.label == "Measure").click()
    walk.run()
    walk.answered(ledger)
    walk.open("measure/this_machine.py").button(key="machine_check").click()
    walk.run()
    walk.answered(ledger)
    for tab, key in QUEUED.items():
        walk.open("measure/quality.py", quality_tab=tab).button(key=key).click()
        walk.run()
        walk.answered(ledger)
    walk.open("build/data.py", data_name="shop").button(key="data_clean_ask").click()
    walk.run()
    walk.answered(ledger)
    walk.open("measure/quality.py", quality_tab="labels", quality_by_price="true")
    with pytest.MonkeyPatch.context() as monkeypatch:
        figure = PublishedFigure(
            "A of a paper",
            "small",
            "ndcg@10",
            0.99,
            synthetic.PROTOCOL,
            "other",
            7,
            "",
            "authors",
            "p",
        )
        monkeypatch.setattr("pages.measure.published.published", lambda name: [figure])
        walk.open("measure/quality.py", quality_tab="published")
    walk.open("answer/plan.py", plan_model="minilm-l6-h384", plan_tab="training")
    for cost in ("flops_per_request", "usd_per_million"):
        walk.open("answer/decide.py", decide_cost=cost)
    walk.open("answer/decide.py", decide_machine="L4")
    walk.open("answer/plan.py", plan_model="minilm-l6-h384", plan_tab="devices")
    walk.open("build/data.py", data_name="shop")
    app = walk.open("build/data.py", data_name="shop")
    app.file_uploader[0].set_value(("more.csv", RATINGS.encode(), "text/csv"))
    walk.run().button(key="data_look").click()
    walk.run()
    (reader,) = [run.id for run in ledger.runs("odd") if run.name == "Reader"]
    walk.open("build/runs.py", runs_id=reader)
    app = walk.open("recommendations/what_drives.py", what_run="Reader")
    app.button(key="what_ask").click()
    walk.run()
    walk.answered(ledger)
    app = walk.open("recommendations/why_this_item.py", why_run="Reader")
    app.selectbox(key="why_item").select_index(3)
    app = walk.run()
    app.button(key="why_explain").click()
    walk.run()
    app = walk.answered(ledger)
    app.selectbox(key="why_against").select_index(1)
    app.pills(key="why_without").set_value(["50"])
    app.selectbox(key="why_other").select_index(1)
    walk.run()
    walk.answered(ledger)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[Visit, Ledger]]]:
    """Both homes walked once, for all tests of this file."""
    visits: list[tuple[Visit, Ledger]] = []
    with pytest.MonkeyPatch.context() as monkeypatch:
        walk = Walk(tmp_path_factory.mktemp("sample"), monkeypatch, SAMPLE)
        walk_every_page(walk)
        visits += [(visit, samples.ledger_of("default")) for visit in walk.visits]
    with pytest.MonkeyPatch.context() as monkeypatch:
        home = tmp_path_factory.mktemp("odd")
        ledger = odd_home(home)
        walk = Walk(home, monkeypatch, ROOT / "no sample")
        walk_every_page(walk)
        walk_what_is_asked(walk, ledger)
        visits += [(visit, ledger) for visit in walk.visits]
    yield visits


@pytest.mark.parametrize("kind", ["table", "chart"])
def test_every_table_and_chart_of_the_source_is_reached(walked, kind):
    drawn = [note[:2] for visit, _ in walked for note in getattr(visit, f"{kind}s")]
    listed = places(kind)
    missed = [place for place in listed if not any(place.holds(*note) for note in drawn)]
    assert not missed, "\n".join(f"{place.file}:{place.first_line}" for place in missed)
    assert all(any(place.holds(*note) for place in listed) for note in drawn)


# ── tables ───────────────────────────────────────────────────────────────────────────────────────

FIGURE = re.compile(
    r"[<≈±]?\s*[-+−]?\$?\d[\d,.]*\s*(%|[kMGT]?(i?B|FLOP|J|W)|[mµn]?s|min|h|GB|MB|ms)?"
)
"""Text that reads a number; digits alone may be a name, as ids are."""


def natural(text: str) -> list:
    """A key in whose order numbers inside text count as numbers: text, number, text …"""
    parts = re.split(r"([0-9]+)", text.casefold())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def expected_order(table: Table, title: str, descending: bool) -> list:
    """The cells of a column as a head's click must show them: by value, unknown ones last."""
    column = next(column for column in table.columns if column.title == title)
    keys = list(zip(*(table.values(name) for name in column.order or (title,)), strict=True))
    cells = table.values(title)

    def rank(place: int) -> list:
        return [natural(key) if isinstance(key, str) else float(key or 0) for key in keys[place]]

    filled = [place for place, cell in enumerate(cells) if cell is not None and cell != ""]
    empty = [place for place, cell in enumerate(cells) if cell is None or cell == ""]
    return [cells[place] for place in sorted(filled, key=rank, reverse=descending) + empty]


def drawn_tables(walked) -> Iterator[tuple[str, Table, records.Study | None, Ledger]]:
    for visit, ledger in walked:
        for file, line, table, study in visit.tables:
            yield f"{visit.name} ({Path(file).name}:{line})", table, study, ledger


def test_columns_that_show_numbers_are_numeric(walked):
    faults = []
    for where, table, _, _ in drawn_tables(walked):
        for column in table.columns:
            cells = [cell for cell in table.values(column.title) if cell is not None and cell != ""]
            if column.show is not None:
                assert all(not isinstance(cell, str) and math.isfinite(cell) for cell in cells), (
                    where
                )
                assert all(isinstance(column.show(float(cell)), str) for cell in cells), where
                continue
            reads = [str(cell) for cell in cells if FIGURE.fullmatch(str(cell).strip())]
            ids = all(text.isdigit() for text in reads)
            if reads and len(reads) == len(cells) and not column.order and not ids:
                faults.append((where, column.title, reads[:3]))
    assert not faults, "\n".join(map(str, faults))


def test_a_click_on_each_head_orders_by_value_with_unknown_last(walked):
    for where, table, _, _ in drawn_tables(walked):
        for column in table.columns:
            for descending in (False, True):
                ordered, empty = tables.arranged(table, (t(column.title), descending))
                if column in empty:
                    continue
                wanted = expected_order(table, column.title, descending)
                assert ordered.values(column.title) == wanted, (where, column.title, descending)
                drawn = tables.styled(ordered).data[t(column.title)]
                assert [None if cell != cell else cell for cell in drawn] == wanted, where


def test_the_export_holds_the_table_at_full_precision(walked):
    facts = {head for name in ("rents", "hardware", "grids") for head in csv_facts.rows(name)[0]}
    for where, table, _, _ in drawn_tables(walked):
        heads, *lines = csv.reader(io.StringIO(table.csv().decode()))
        names = [column.name or column.title for column in table.columns]
        assert heads == [safe_cell(name) for name in names], where
        scaled = [
            head
            for head in heads
            if re.search(r"(\b|_)(ms|[MG]i?B|gb|minutes|percent|%)(\b|_|$)", head)
        ]
        assert set(scaled) <= facts, (where, scaled)
        assert len(lines) == len(table.lines), where
        for line, cells in zip(lines, table.lines, strict=True):
            for text, cell, column in zip(line, cells, table.columns, strict=True):
                if column.show is not None:
                    assert (float(text) if text else None) == cell, (where, column.title)
                else:
                    assert text == ("" if cell is None else str(safe_cell(cell))), (
                        where,
                        column.title,
                    )


def members(ledger: Ledger, run_id: str) -> list[str]:
    """The finished runs of a run's study that bear its name but for the seed."""
    run = ledger.run(run_id)
    name = name_without_seed(run.name)
    return [
        other.id
        for other in ledger.runs(run.study)
        if other.state == "finished" and name_without_seed(other.name) == name
    ]


def test_the_export_of_runs_holds_what_the_ledger_recorded(walked):
    """One run's cell is the recorded value; a row of several seeds stands between its members'."""
    compared = 0
    for where, table, _, ledger in drawn_tables(walked):
        for run_id, cells in zip(table.ids, table.lines, strict=bool(table.ids)):
            if not run_id or any(str(cell).startswith("predicted on") for cell in cells):
                continue
            alone = ledger.run(run_id).name in cells
            figures = ledger.measurements([run_id] if alone else members(ledger, run_id))
            for column, cell in zip(table.columns, cells, strict=True):
                recorded = figures[figures.name == column.name]["value"].dropna()
                if cell is None or column.show is None or not len(recorded):
                    continue
                if column.name not in COMPUTED:
                    same = (recorded == cell).any()
                    between = recorded.min() <= cell <= recorded.max()
                    assert same if alone else between, (where, column.name, run_id)
                    compared += 1
    assert compared > 100


COMPUTED = {"usd_per_million", "energy_per_request_j", "gco2e_per_million"}
"""Figures that what a reader has typed goes into."""


# ── charts ───────────────────────────────────────────────────────────────────────────────────────

MISSING = re.compile(r"[Nn]ot (drawn|measured|predicted)|Hidden, as dominated|edge marked 0")


def texts(value: object) -> list[str]:
    """A mark's texts, as a reader sees them."""
    if value is None:
        return []
    if isinstance(value, str):
        parts = [part.removeprefix("<b>").removesuffix("</b>") for part in value.split("<br>")]
        return [html.unescape(part) for part in parts]
    if isinstance(value, list | tuple | np.ndarray):
        return [text for part in value for text in texts(part)]
    return []


def seen(axis: object, value: object) -> bool:
    """Whether a coordinate has a place on its axis."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return False
    return isinstance(value, str) or getattr(axis, "type", None) != "log" or float(value) > 0


def at(values: object, place: int) -> object:
    """The value of a mark, or the one that all marks share."""
    return values[place] if isinstance(values, list | tuple | np.ndarray) else values


def drawn_names(figure: go.Figure) -> set[str]:
    """Names beside marks that have a place on the chart."""
    layout, names = figure.layout, set()
    ticks = dict(zip(layout.yaxis.tickvals or (), layout.yaxis.ticktext or (), strict=False))
    for trace in figure.data:
        if isinstance(trace, go.Heatmap):
            for name, line in zip(trace.y, trace.z, strict=True):
                names.update(texts(name) if any(cell is not None for cell in line) else [])
            continue
        if isinstance(trace, go.Parcoords):  # the first axis names the runs
            names.update(trace.dimensions[0].ticktext)
            continue
        xs, ys = (
            list(trace.x if trace.x is not None else ()),
            list(trace.y if trace.y is not None else ()),
        )
        for place, (x, y) in enumerate(zip(xs, ys, strict=False)):
            if seen(layout.xaxis, x) and seen(layout.yaxis, y):
                beside = [
                    trace.name,
                    ticks.get(y),
                    at(trace.customdata, place),
                    at(trace.text, place),
                    at(trace.hovertext, place),
                ]
                names.update(text for value in beside for text in texts(value))
    for note in layout.annotations:
        if note.text == "0":
            names.update(texts(ticks.get(note.y)))
    return names


def stands_in(name: str, drawn: set[str]) -> bool:
    """Whether a name is drawn: whole, cut with an ellipsis, or with a word behind a comma."""
    cut = [text[:-1] for text in drawn if text.endswith("…")]
    return name in drawn or any(map(name.startswith, cut)) or any(
        text.startswith(f"{name}, ") for text in drawn
    )  # fmt: skip


OF_GROUPS = {"profile_grid"}
"""Charts whose cells are medians of runs of one size, not runs."""
OF_CHOSEN = ("runs_intervals", "runs_parts_", "runs_curves_", "runs_axes")
"""Charts of the runs that were chosen, not of all: the table that follows lists the same ones."""


def test_every_line_beside_a_chart_is_drawn_or_named_as_missing(walked):
    faults, paired = [], set()
    for visit, _ in walked:
        said = [words for words in visit.words if MISSING.search(words)]
        for file, line, figure, key in visit.charts:
            names = drawn_names(figure)
            beside = visit.tables
            if key.startswith(OF_CHOSEN):
                beside = [table for table in beside if table[0] == file and table[1] > line][:1]
            for _, _, table, _ in beside:
                subjects = dict.fromkeys(str(cell) for cell in table.values(table.columns[0].title))
                drawn = [name for name in subjects if stands_in(name, names)]
                if not drawn or key in OF_GROUPS:
                    continue
                paired.add((file, line))
                faults += [
                    f"{visit.name}: {Path(file).name}:{line} neither draws nor names {name}"
                    for name in subjects
                    if name not in drawn and not any(name in words for words in said)
                ]
    assert not faults, "\n".join(dict.fromkeys(faults))
    assert len(paired) > 8


def test_a_chart_holds_something(walked):
    for visit, _ in walked:
        for file, line, figure, _ in visit.charts:
            assert figure.data, (visit.name, file, line)
