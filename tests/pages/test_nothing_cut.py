"""What a page leaves out it counts: "200 of 1,682"."""

import numpy as np
import pandas as pd
import pytest

from llmrec_core.data import store
from llmrec_core.data.dataset import build_dataset
from llmrec_core.settings import Settings
from pages.shared import people
from tests import synthetic
from tests.pages.test_pages import unescaped

ITEMS = 1_682


@pytest.fixture
def settings(tmp_path):
    return Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0)


def test_the_list_of_items_says_how_many_there_are(open_page, tmp_path, settings):
    rng = np.random.default_rng(0)
    rows = [(f"u{user}", f"i{item}", float(item)) for item in range(ITEMS) for user in (0, 1)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    titles = [f"{'Alien' if item < 70 else 'Heat'} {rng.integers(10**9)}" for item in range(ITEMS)]
    items = pd.DataFrame({"item_id": [f"i{item}" for item in range(ITEMS)], "title": titles})
    store.save(build_dataset("shop", frame, items), settings, note="test")
    app = open_page("build/data.py", tmp_path, data_name="shop")
    assert "Shown: 200 of 1,682." in unescaped(app)
    app.text_input(key="data_search").set_value("Alien").run()
    assert "Shown: 50 of 70." in unescaped(app)
    app.text_input(key="data_search").set_value(titles[0]).run()
    assert "Shown: " not in unescaped(app)


@pytest.mark.parametrize("page", ["why_this_item", "side_by_side"])
def test_a_history_says_how_many_of_it_are_shown(open_page, monkeypatch, page):
    app = open_page(f"recommendations/{page}.py")
    assert "Shown: " not in unescaped(app)
    (box,) = [one for one in app.expander if "of the history" in one.label]
    many = len(box.text[0].value.split("\n"))
    assert f"Last {many} items of the history, newest last" == box.label
    monkeypatch.setattr(people, "MOST_OF_HISTORY", 2)
    app.run()
    (box,) = [one for one in app.expander if "of the history" in one.label]
    assert box.label.startswith("Last 2 items")
    assert f"Shown: 2 of {many}." in unescaped(app)


def test_groups_that_do_not_fit_the_chart_are_counted(open_page, tmp_path, settings):
    ledger = synthetic.write_study(settings)
    app = open_page("recommendations/what_drives.py", tmp_path)
    app.button(key="what_ask").click().run()
    asked = ledger.claim_request("w")
    groups = [
        {"group": str(number), "mean_abs": 0.4, "low": 0.3, "high": 0.5, "mean": 0.1, "users": 9,
         "players": 9}
        for number in range(1, 16)
    ]  # fmt: skip
    row = {
        "user_id": "1", "item_id": "2", "player": "x", "kind": "item", "recency": 1, "genre": "",
        "value": 1.0, "error": 0.1,
    }  # fmt: skip
    body = {
        "rows": [row], "users": 9, "seconds": 3.0, "fields": None, "reasons": [], "bias": [],
        "groups": {"recency": groups, "genre": groups[:12], "popularity": []},
        "surrogate": None, "randomisation": None,
    }  # fmt: skip
    assert ledger.close_request(asked, body)
    app.run()
    assert not app.exception
    assert unescaped(app).count("Shown: 12 of 15.") == 1
    assert unescaped(app).count("Shown: ") == 1
