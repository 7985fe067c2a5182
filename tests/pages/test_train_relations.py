"""Train on items with relations: asked for where the data set has them and the family looks at them."""

from __future__ import annotations

import dataclasses

import pandas as pd

from llmrec_core.data import store
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.settings import Settings
from tests.recommenders.hosted.films import films


def test_train_queues_relations_as_text_and_as_a_weight(open_page, tmp_path):
    settings = Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0)
    plain = films()
    facts = pd.DataFrame(
        [(item, "directed_by", "m.x") for item in plain.items["item_id"][:3]],
        columns=["item_id", "relation", "entity"],
    )
    store.save(plain, settings, note="made up")
    linked = dataclasses.replace(
        plain, name="linked", extras={"relations": facts}, content_hash="0" * 16
    )
    store.save(linked, settings, note="made up")
    app = open_page("build/train.py", tmp_path)
    app.selectbox(key="train_data").set_value("films").run()
    app.selectbox(key="train_family").set_value("tf-idf").run()
    assert "train_relations" not in {field.key for field in app.text_input}
    app.selectbox(key="train_data").set_value("linked").run()
    app.text_input(key="train_relations").set_value("3").run()
    app.text_input(key="train_study").set_value("mine").run()
    app.button(key="train_queue").click().run()
    assert not app.exception
    app.selectbox(key="train_family").set_value("ease").run()
    app.text_input(key="train_relations_weight").set_value("30").run()
    app.button(key="train_queue").click().run()
    assert not app.exception
    runs = {run.name: run.spec["recommender"] for run in Ledger.open(settings).runs("mine")}
    assert runs["TF-IDF, relations"]["relations"] == 3
    assert runs["EASE, relations"]["options"] == {"relations": 30}
