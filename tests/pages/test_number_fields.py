"""A decimal comma is a decimal comma on every page, and what is counted takes no fraction."""

from llmrec_core.settings import Settings
from tests import synthetic
from tests.pages.test_pages import unescaped


def refusals(app):
    return [one.value.replace("\\", "") for one in app.main.get("error")]


def test_train_reads_a_comma_and_queues_no_fraction_of_a_step(open_page, tmp_path):
    ledger = synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))
    app = open_page("build/train.py", tmp_path)
    app.text_input(key="train_minutes").set_value("12,5")
    app.text_input(key="train_rate").set_value("0,0003")
    app.text_input(key="train_steps").set_value("62,5").run()
    assert refusals(app) == ["Training steps is 62.5; expected a whole number from 21 to 100,000"]
    assert app.button(key="train_queue").disabled
    app.text_input(key="train_steps").set_value("62").run()
    assert not refusals(app)
    app.text_input(key="train_study").set_value("mine").run()
    app.button(key="train_queue").click().run()
    (queued,) = ledger.runs("mine")
    training = queued.spec["training"]
    assert (training["steps"], training["max_minutes"]) == (62, 12.5)
    assert training["learning_rate"] == 0.0003


def test_train_reads_the_price_of_a_hosted_model_with_a_comma(open_page):
    app = open_page("build/train.py", "filled", train_family="hosted", train_limit="0,25")
    app.text_input(key="train_history").set_value("12,5").run()
    assert "History items in the prompt is 12.5; expected a whole number from 1 to 200" in refusals(
        app
    )
    app.text_input(key="train_usd_in").set_value("-1").run()
    assert any("$ per million tokens in is -1; expected a " in one for one in refusals(app))
    assert not any("Spend at most" in one for one in refusals(app))


def test_the_address_keeps_what_was_typed_and_opens_it_again(open_page):
    app = open_page("build/train.py")
    app.text_input(key="train_minutes").set_value("12,5").run()
    assert app.query_params["train_minutes"] == "12,5"
    assert (
        open_page("build/train.py", train_minutes="12,5").text_input(key="train_minutes").value
        == "12,5"
    )


def test_plan_reads_a_comma_and_refuses_a_fraction_of_a_candidate(open_page):
    app = open_page("answer/plan.py", plan_model="minilm-l6-h384")
    app.text_input(key="plan_p95").set_value("212,5").run()
    assert "at p95 ≤ 212.5 ms" in unescaped(app)
    app.text_input(key="plan_candidates").set_value("12,5").run()
    assert refusals(app) == ["candidates is 12.5; expected a whole number from 1 to 1,000,000"]
    app.text_input(key="plan_candidates").set_value("").run()
    assert not refusals(app)
    app.text_input(key="plan_p95").set_value("").run()
    assert not refusals(app), "an empty limit is none"
    assert "at p95" not in unescaped(app)


def test_what_drives_refuses_a_fraction_of_a_user(open_page):
    app = open_page("recommendations/what_drives.py")
    app.text_input(key="what_users").set_value("12,5").run()
    assert refusals(app) == ["Users is 12.5; expected a whole number from 5 to 200"]
    assert app.button(key="what_ask").disabled
    app.text_input(key="what_users").set_value("12").run()
    assert not refusals(app) and not app.button(key="what_ask").disabled


def test_an_untouched_field_follows_the_default_of_another_study(open_page, tmp_path):
    settings = Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0)
    synthetic.write_study(settings).close()
    app = open_page("build/train.py", tmp_path)
    usual = app.text_input(key="train_users").value
    app.session_state["_train_users_untouched"] = "77"  # as another study's default was
    app.session_state["train_users"] = "77"
    app.run()
    assert app.text_input(key="train_users").value == usual


def test_profile_refuses_a_fraction_of_a_candidate_and_sends_nothing(open_page, tmp_path):
    ledger = synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))
    app = open_page("measure/profile.py", tmp_path)
    app.text_input(key="profile_candidates").set_value("12,5")
    app.main.get("button")[0].click().run()
    assert refusals(app) == ["Candidates is 12.5; expected a whole number from 2 to 10,000"]
    assert ledger.claim_request("w") is None
