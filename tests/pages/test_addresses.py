"""Links: an address names what is chosen by its id, in every language and for every list."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from llmrec_core.settings import Settings
from tests import synthetic

ROOT = Path(__file__).parents[2]
FILES = sorted(
    str(file.relative_to(ROOT)) for file in [ROOT / "app.py", *(ROOT / "pages").rglob("*.py")]
)
LISTS = ("selectbox", "multiselect", "segmented_control", "pills", "radio", "select_slider")


def bound_calls(file: str) -> list[ast.Call]:
    """Calls of widgets whose value Streamlit itself writes into the address."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and any(word.arg == "bind" for word in node.keywords)
    ]


@pytest.mark.parametrize("file", FILES)
def test_streamlit_writes_no_title_and_no_translated_word_into_the_address(file):
    for call in bound_calls(file):
        where = f"{file}:{call.lineno}"
        assert isinstance(call.func, ast.Attribute), where
        assert call.func.attr != "tabs", f"{where}: the title of a tab; use address.tabs"
        words = {word.arg for word in call.keywords}
        assert "format_func" not in words, f"{where}: what is shown; use address.choose"
        if call.func.attr in LISTS:
            options = ast.dump(call.args[1])
            assert "id='t'" not in options, f"{where}: translated words; use address.choose"


def test_the_open_tab_and_the_runs_of_a_comparison_stand_in_the_address(open_page):
    app = open_page("build/runs.py", runs_tab="compared")
    chosen = app.multiselect(key="runs_compared")
    first, second = chosen.value
    assert app.query_params["runs_compared"] == [first, second]
    assert app.selectbox(key="runs_base").value == second
    app.selectbox(key="runs_base").set_value(first).run()
    assert app.query_params["runs_base"] == first
    again = open_page(
        "build/runs.py", runs_tab="compared", runs_compared=[second, first], runs_base=first
    )
    assert again.multiselect(key="runs_compared").value == [second, first]
    assert again.selectbox(key="runs_base").value == first


def test_a_choice_of_nothing_is_not_the_default_again(open_page):
    app = open_page("recommendations/side_by_side.py")
    chosen = app.multiselect(key="side_runs").value
    assert len(chosen) == 3
    app.multiselect(key="side_runs").set_value([]).run()
    assert app.query_params["side_runs"] == ""
    assert "Choose one to three runs." in [info.value for info in app.info]
    app.multiselect(key="side_runs").set_value(chosen[:1]).run()
    assert app.query_params["side_runs"] == chosen[0]


def test_a_link_of_old_with_the_title_of_a_metric_still_opens_it(open_page):
    app = open_page("answer/decide.py", decide_metric="MRR")
    assert app.selectbox(key="decide_metric").value == "mrr"
    assert app.query_params["decide_metric"] == "MRR"


@pytest.mark.parametrize(("key", "value"), [("decide_cost", "nonsense"), ("decide_slice", "x")])
def test_an_id_that_nobody_knows_gives_the_default(open_page, key, value):
    app = open_page("answer/decide.py", **{key: value})
    assert not app.exception
    assert app.selectbox(key=key).value != value


def test_a_value_of_the_address_that_is_no_choice_is_named_not_replaced_in_silence(open_page):
    app = open_page("build/train.py", train_family="EASE<b>*x*")
    shown = app.selectbox(key="train_family").value
    (warning,) = [text.value for text in app.warning if "The address asks for" in text.value]
    assert "EASE" in warning and "<b>" not in warning.replace("\\<b", "") and "*x*" not in warning
    assert shown == "cross-encoder"
    app.selectbox(key="train_family").set_value("ease").run()
    assert not [text.value for text in app.warning if "The address asks for" in text.value]
    assert app.query_params["train_family"] == "ease"


@pytest.fixture
def twins(tmp_path):
    """A study in which two runs of different families have one name."""
    name = synthetic.ROWS[0][0]
    settings = Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0)
    rows = (*synthetic.ROWS, (name, *synthetic.ROWS[1][1:]))
    ledger = synthetic.write_study(settings, rows=rows)
    ids = {run.id for run in ledger.runs("default") if run.name == name}
    assert len(ids) == 2
    return name, ids


@pytest.mark.parametrize("page", ["why_this_item", "what_drives"])
def test_a_name_that_fits_two_runs_asks_which_with_ids_and_differences(
    open_page, tmp_path, twins, page
):
    name, ids = twins
    key = f"{page.split('_')[0]}_run"
    app = open_page(f"recommendations/{page}.py", tmp_path, **{key: name})
    assert not app.exception
    (warning,) = [text.value.replace("\\", "") for text in app.warning if name in text.value]
    assert "fits 2 choices of “Run”" in warning
    for run_id in ids:
        assert run_id in warning
    assert "family" in warning, "what tells them apart"
    assert not app.selectbox(key=f"{key}_which").value
    assert len(app.main.selectbox) == 1, "nothing is shown of either of them"
    chosen = sorted(ids)[1]
    app.selectbox(key=f"{key}_which").set_value(chosen).run()
    assert app.selectbox(key=key).value == chosen
    assert app.query_params[key] == chosen


def test_a_name_that_fits_one_run_opens_it(open_page):
    app = open_page("recommendations/why_this_item.py", why_run=synthetic.READER)
    assert not app.warning
    said = [text.value.replace("\\", "") for text in app.main.get("caption")]
    assert any(text.startswith(f"{synthetic.READER} · ") for text in said)
