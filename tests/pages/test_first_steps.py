"""The way from an empty home to an answer: three steps that go away, and recorded studies."""

import json

import pytest

from llmrec_core.data import store
from llmrec_core.settings import Settings
from pages.shared import samples
from tests import synthetic
from tests.metrics.test_facets import dataset

TITLE = "Three steps to an answer on your data"


def links(app) -> list[str]:
    """Labels of the links of the page's body."""
    return [link.proto.label for link in app.main.get("page_link")]


def test_an_empty_home_begins_with_the_import(open_page, tmp_path):
    app = open_page("answer/start.py", tmp_path)
    assert not app.exception
    assert TITLE in [header.value for header in app.header]
    assert "Import data" in links(app) and "Queue runs" not in links(app)


def test_each_step_done_offers_the_next_one_and_the_last_takes_them_away(open_page, tmp_path):
    settings = Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0)
    store.save(dataset(), settings, note="")
    app = open_page("answer/start.py", tmp_path)
    assert "Queue runs" in links(app) and "Import data" not in links(app)
    synthetic.write_study(settings)
    app = open_page("answer/start.py", tmp_path)
    assert TITLE not in [header.value for header in app.header]


@pytest.mark.parametrize("families", [(), ("ease", "popularity"), ("cross-encoder",)], ids=str)
def test_the_last_step_is_done_when_both_kinds_have_finished(open_page, tmp_path, families):
    rows = tuple(row for row in synthetic.ROWS if row[1] in families)
    settings = Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0)
    synthetic.write_study(settings, rows=rows).close()
    app = open_page("answer/start.py", tmp_path)
    assert not app.exception
    assert TITLE in [header.value for header in app.header]
    assert "Watch the runs" in links(app) and "Queue runs" not in links(app)


def test_recorded_studies_of_other_domains_are_opened_by_a_link(open_page, tmp_path, monkeypatch):
    shipped = json.loads(samples.DEFAULT_FILE.read_text("utf-8"))
    other = tmp_path / "shop.json"
    study = shipped["study"] | {"name": "shop", "title": "A shop"}
    runs = [run | {"study": "shop", "id": f"s{run['id'][1:]}"} for run in shipped["runs"][:2]]
    other.write_text(json.dumps(shipped | {"study": study, "runs": runs}), "utf-8")
    home = tmp_path / "home"
    home.mkdir()
    app = open_page("answer/start.py", home, sample=samples.DEFAULT_FILE)
    monkeypatch.setattr(samples, "FILES", (samples.DEFAULT_FILE, other))
    app.run()
    assert "A shop" in links(app)
    app.selectbox(key="study").select("sample:shop").run()
    assert not app.exception
    assert app.selectbox(key="study").options == [
        f"{shipped['study']['title']} (recorded sample)",
        "A shop (recorded sample)",
    ]


def test_a_link_to_another_study_shows_that_study(open_page, tmp_path):
    settings = Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0)
    synthetic.write_study(settings, "one")
    synthetic.write_study(settings, "two")
    app = open_page("answer/start.py", tmp_path, study="one")
    assert app.selectbox(key="study").value == "one"
    app.query_params["study"] = "two"
    app.run()
    assert app.selectbox(key="study").value == "two"
    app.selectbox(key="study").select("one").run()
    assert app.query_params["study"] == "one", "and it can be changed again"
