"""Train with a decoder that orders a whole list: one head or the other, and a list as long as taught."""

from __future__ import annotations

from llmrec_core.contract.spec import run_from_dict
from llmrec_core.contract.spec_files import StudySpec
from llmrec_core.data import store
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.settings import Settings
from tests.pages.test_pages import unescaped
from tests.recommenders.hosted.films import films


def test_train_queues_letters_beside_yes_or_no(open_page, tmp_path):
    settings = Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0)
    store.save(films(), settings, note="made up")
    app = open_page("build/train.py", tmp_path)
    app.selectbox(key="train_data").set_value("films").run()
    app.selectbox(key="train_family").set_value("decoder").run()
    app.selectbox(key="train_decoder_head").set_value("letters").run()
    app.text_input(key="train_orders").set_value("4").run()
    app.text_input(key="train_k").set_value("12").run()
    app.button_group(key="train_methods").set_value(["lora"]).run()
    assert not app.exception
    assert "letters" in app.dataframe[0].value.iloc[0, 0]
    app.selectbox(key="train_objective").set_value("bce").run()
    assert "which is objective 'listwise'" in unescaped(app)
    app.selectbox(key="train_objective").set_value("listwise").run()
    app.text_input(key="train_study").set_value("mine").run()
    app.button(key="train_queue").click().run()
    assert not app.exception
    (run,) = Ledger.open(settings).runs("mine")
    chosen = run.spec["recommender"]
    assert (chosen["head"], chosen["rerank_k"], chosen["options"]) == ("letters", 12, {"orders": 4})
    assert run.spec["training"]["negatives"] == 11


def test_train_queues_a_gate_before_letters_which_teach_no_student(open_page, tmp_path):
    settings = Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0)
    ledger = Ledger.open(settings)
    letters = {"family": "decoder", "backbone": "smollm2-135m", "head": "letters"}
    alone = run_from_dict(
        {
            "name": "Letters alone",
            "recommender": letters | {"adaptation": "lora"},
            "training": {"negatives": 19},
            "protocol": {"candidates": "20-uniform"},
        }
    )
    sasrec = run_from_dict(
        {"name": "SASRec", "recommender": {"family": "sasrec", "adaptation": "full"}}
    )
    ledger.add_study(StudySpec("default", "Two that are trained", (alone, sasrec)))
    app = open_page("build/train.py", tmp_path)
    app.selectbox(key="train_family").set_value("cascade").run()
    assert app.selectbox(key="train_reader").value == "Letters alone"
    app.selectbox(key="train_gate").set_value("validation").run()
    app.text_input(key="train_k").set_value("27").run()
    assert "26" in unescaped(app)
    app.text_input(key="train_k").set_value("12").run()
    app.button(key="train_queue").click().run()
    assert not app.exception and not app.error
    (run,) = [run for run in ledger.runs("default") if run.name.endswith("gated")]
    chosen = run.spec["recommender"]
    assert (chosen["head"], chosen["rerank_k"], chosen["gate"]) == ("letters", 12, "validation")
    assert run.spec["training"]["validation_users"] == 1_000
    app.selectbox(key="train_family").set_value("distilled-sasrec").run()
    assert app.selectbox(key="train_teacher").options == ["SASRec", run.name]
