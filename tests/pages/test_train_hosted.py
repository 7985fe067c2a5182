"""Train with a hosted model: fields, an estimate, sentences for what is missing, no request."""

from __future__ import annotations

from llmrec_core.data import store
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.settings import Settings
from tests.pages.test_pages import unescaped
from tests.recommenders.hosted.films import films
from tests.recommenders.hosted.stub import running_stub


def test_train_asks_for_price_and_limit_and_queues_a_hosted_model(open_page, tmp_path):
    settings = Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0)
    store.save(films(), settings, note="made up")
    with running_stub() as stub:
        app = open_page("build/train.py", tmp_path)
        app.selectbox(key="train_data").set_value("films").run()
        app.selectbox(key="train_family").set_value("hosted").run()
        assert not app.exception
        assert "recommender.endpoint.url is no address that is asked" in unescaped(app)
        app.text_input(key="train_endpoint").set_value(stub.url).run()
        app.text_input(key="train_model").set_value("tiny").run()
        assert "lacks its price" in unescaped(app)
        app.text_input(key="train_usd_in").set_value("2.0")
        app.text_input(key="train_usd_out").set_value("8.0").run()
        assert "limit_usd is missing" in unescaped(app)
        assert not app.dataframe
        app.text_input(key="train_limit").set_value("0.001").run()
        # 60 people, K = 20: 68 tokens of answer each at $8 a million are $0.03 alone
        assert app.dataframe[0].value.iloc[0, 0] == "Hosted model tiny, reranks 20 of item-knn"
        assert "about 60 prompts" in unescaped(app)
        app.button(key="train_queue").click().run()
        assert "raise it, or ask fewer people: protocol.users = " in unescaped(app)
        app.text_input(key="train_limit").set_value("0.5").run()
        app.text_input(key="train_study").set_value("mine").run()
        app.button(key="train_queue").click().run()
        assert not app.exception
        assert not stub.moments  # the web process asks nothing
    (run,) = Ledger.open(settings).runs("mine")
    assert run.spec["recommender"]["endpoint"]["limit_usd"] == 0.5
