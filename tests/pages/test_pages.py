"""Every page opens filled, empty and with hostile data; one interaction changes one number; no ML library loads."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from llmrec_core.installation import STUDIO
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.settings import Settings
from pages.shared import records
from pages.shared.navigation import MAP
from tests import synthetic
from tests.reading.test_gate import BODY as GATE

ROOT = Path(__file__).parents[2]
PAGES = sorted(file for pages in MAP.values() for file, *_ in pages)


def words(app: AppTest) -> str:
    """Everything a reader sees as text on the page, the side bar left out."""
    kinds = (
        "markdown",
        "caption",
        "text",
        "info",
        "warning",
        "error",
        "success",
        "subheader",
        "title",
    )
    return "\n".join(
        str(one.value) for kind in kinds for one in app.main.get(kind) if hasattr(one, "value")
    )


def unescaped(app: AppTest) -> str:
    return words(app).replace("\\", "")


FRAME_KEYS = {"study", "price", "utilisation", "watts", "grid"}
NEEDS_KEYS = {"requests", "budget", "p95", "worth", "per_million", "share"}
"""What a reader types once for Start, Decide and the report."""
KEYED = (
    "selectbox",
    "number_input",
    "toggle",
    "multiselect",
    "text_input",
    "text_area",
    "select_slider",
)


@pytest.mark.parametrize("home", ["filled", "empty", "sample", "hostile"])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_explains_itself_and_prefixes_its_keys(open_page, page, home):
    app = open_page(page, home)
    assert not app.exception, app.exception[0].message
    assert not (home == "filled" and page != "build/runs.py" and app.error), app.error[0].value
    assert app.title[0].value
    assert len(words(app)) > 60
    if home == "empty":
        links, buttons = app.main.get("page_link"), app.main.get("button")
        assert "llmrec_core" in words(app) or links or buttons, "an empty page must say what to do"
    prefix = Path(page).stem.split("_")[0]
    for widget in (one for kind in KEYED for one in app.get(kind)):
        shared = widget.key.strip("_").removesuffix("_slider") in FRAME_KEYS | NEEDS_KEYS
        assert shared or widget.key.startswith(prefix), widget.key


def test_no_page_loads_an_ml_library(homes):
    code = f"""
import json, sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file({str(STUDIO)!r}, default_timeout=180).run()
for page in {PAGES!r}:
    app.switch_page({str(ROOT / "pages")!r} + "/" + page).run()
    assert not app.exception, (page, app.exception[0].message)
print(json.dumps(sorted({{"torch", "transformers", "peft", "shap", "ray", "sklearn"}} & set(sys.modules))))
"""
    env = {
        "PATH": "/usr/bin:/bin",
        "LLMREC_HOME": str(homes["filled"]),
        "HOME": str(homes["empty"]),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == []


# ── one interaction changes one number ───────────────────────────────────────────────────────────


def test_start_thousand_times_the_traffic_takes_more_machines(open_page):
    app = open_page("answer/start.py")
    before = [metric.value for metric in app.metric if metric.label == "$ per month"]
    app.text_input(key="requests").set_value("100000").run()
    after = [metric.value for metric in app.metric if metric.label == "$ per month"]
    # 10 million requests a month need one machine and its spare: 2 × $0.10 × 730 hours
    assert before[0] == "$146.00"
    assert float(after[0].strip("$").replace(",", "")) > 146


def test_start_says_not_yet_with_what_would_settle_it_and_never_better(open_page):
    shown = unescaped(open_page("answer/start.py"))
    assert "Not yet: about" in shown
    assert "more people would settle it" in shown
    assert "each person's last item is hidden" in shown
    assert "of 100 candidates" in shown


def test_a_typed_price_reaches_the_bill_and_the_sentence_about_its_origin(open_page):
    app = open_page("answer/start.py")
    assert "$0.10 per hour (a test, 2026-11-24)" in unescaped(app)
    app.text_input(key="price").set_value("0.2").run()
    bill = next(metric.value for metric in app.metric if metric.label == "$ per month")
    assert bill == "$292.00"
    assert "$0.20 per hour (typed in)" in unescaped(app)
    assert "2026-11-24" not in unescaped(app)


def test_decide_a_latency_limit_changes_the_choice_and_is_typed_exactly(open_page):
    app = open_page("answer/decide.py")
    assert "Take SASRec" in unescaped(app)
    app.text_input(key="p95").set_value("1.1").run()
    assert "Take EASE" in unescaped(app)
    assert "is above 1.10 ms" in unescaped(app)
    app.text_input(key="p95").set_value("0,7").run()
    assert "is above 0.70 ms" in unescaped(app)


def test_decide_a_slider_beside_the_field_types_a_measured_limit(open_page):
    app = open_page("answer/decide.py")
    slider = app.select_slider(key="_p95_slider")
    assert slider.options[0] == "≤ 0.08 ms"
    slider.set_value(0.9).run()
    assert app.text_input(key="p95").value == "0.9"
    assert "is above 0.90 ms" in unescaped(app)


@pytest.mark.parametrize(("typed", "said"), [("1,234", "can be read as 1234"), ("5x", "no number")])
def test_decide_a_limit_that_cannot_be_read_is_refused(open_page, typed, said):
    app = open_page("answer/decide.py")
    app.text_input(key="p95").set_value(typed).run()
    assert said in app.error[0].value.replace("\\", "")
    assert "Take SASRec" in unescaped(app), "no limit holds until it can be read"


def test_decide_limits_of_the_address_are_exact_and_kept_over_machine_and_page(open_page):
    app = open_page("answer/decide.py", p95="1.1", per_million="5")
    assert (app.text_input(key="p95").value, app.text_input(key="per_million").value) == (
        "1.1",
        "5",
    )
    app.selectbox(key="decide_machine").select("L4").run()
    assert app.text_input(key="p95").value == "1.1"
    app.switch_page(str(ROOT / "pages" / "answer" / "start.py")).run()
    assert app.text_input(key="p95").value == "1.1"


def test_decide_figures_equal_the_ledger(open_page, homes):
    app = open_page("answer/decide.py")
    home = homes["filled"]
    ledger = Ledger.open(Settings(home, f"sqlite:///{home / 'ledger.db'}", 30.0))
    runs = {run.name: run.id for run in ledger.runs("default")}
    table = ledger.measurements([runs["EASE"]])
    recorded = table[(table.name == "ndcg@10") & (table.slice == "all")].iloc[0]
    shown = app.dataframe[0].value.set_index("Run").loc["EASE"]
    assert (shown["NDCG@10"], shown["Low"], shown["High"]) == (
        recorded.value,
        recorded.low,
        recorded.high,
    )
    assert shown["$ per million"] == table[table.name == "usd_per_million"].iloc[0].value
    assert "Energy per request" not in shown
    assert "Energy per request (no NVML energy counter" in unescaped(app)


def test_decide_a_typed_price_and_watts_change_the_table(open_page):
    app = open_page("answer/decide.py")
    app.text_input(key="price").set_value("0.2").run()
    # 0.2 $/h ÷ (4,000/s × 3600 × 0.5) × 1e6
    table = app.dataframe[0].value.set_index("Run")
    assert table.loc["EASE", "$ per million"] == pytest.approx(0.2 / 7.2)
    app.text_input(key="watts").set_value("40.0").run()
    table = app.dataframe[0].value.set_index("Run")
    assert table.loc["EASE", "Energy per request"] == pytest.approx(40 / 4000)
    assert table.loc["EASE", "Energy from"] == "assumed"


def test_decide_the_choice_stands_first_in_the_table(open_page):
    app = open_page("answer/decide.py", p95="1.1")
    assert app.dataframe[0].value["Run"][0] == "EASE"


def test_language_models_only_shows_the_rows_that_start_counts(open_page):
    app = open_page("answer/decide.py")
    app.toggle(key="decide_language").set_value(True).run()
    shown = set(app.dataframe[0].value["Run"])
    assert "EASE" not in shown
    assert {"Text-SASRec, MiniLM", "SmolLM2 yes/no"} <= shown


def test_decide_gives_no_advice_of_few_people_and_offers_no_empty_slice(open_page, tmp_path):
    sample = ROOT / "assets" / "sample" / "study.json"
    app = open_page("answer/decide.py", tmp_path, sample, decide_slice="rare items")
    shown = unescaped(app)
    assert "No advice for rare items: 7 people were asked, fewer than 20." in shown
    assert "Take " not in shown and "stays the choice" not in shown
    assert "Nobody of this sample belongs to: cold items." in shown
    offered = app.selectbox(key="decide_slice").options
    assert "Rare items" in offered and "Cold items" not in offered
    app.selectbox(key="decide_slice").select("all").run()
    assert "Take " in unescaped(app)
    empty = open_page("answer/decide.py", tmp_path, sample, decide_slice="cold items")
    assert empty.selectbox(key="decide_slice").value == "all"
    assert any("cold items" in one.value for one in empty.warning)


def test_decide_the_address_chooses_the_metric(open_page):
    app = open_page("answer/decide.py", decide_metric="MRR")
    assert app.selectbox(key="decide_metric").value == "mrr"
    assert "MRR" in unescaped(app)


def test_report_carries_the_comment(open_page):
    app = open_page("answer/report.py")
    app.text_area(key="report_comment").set_value("Read this first: <b>x</b>").run()
    assert "Read this first: <b>x</b>" in [one.value for one in app.text]


def test_side_by_side_shows_three_lists_and_hides_names(open_page):
    app = open_page("recommendations/side_by_side.py")
    assert len(app.dataframe) == 3
    assert "SASRec" in unescaped(app)
    app.toggle(key="side_blind").set_value(True).run()
    headings = [one.value for one in app.main.get("markdown") if str(one.value).startswith("##")]
    assert [heading.replace("\\", "") for heading in headings] == [
        "## List A",
        "## List B",
        "## List C",
    ]


def test_side_by_side_a_new_person_asks_the_worker(open_page, tmp_path):
    ledger = synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))
    app = open_page("recommendations/side_by_side.py", tmp_path)
    app.button_group(key="side_way").set_value("new").run()
    assert app.button(key="side_recommend").disabled
    app.session_state["side_titles"] = ["Alien (1979)", "Aliens (1986)"]
    app.run()
    assert ledger.claim_request("w") is None, "nothing is asked before the button"
    app.button(key="side_recommend").click().run()
    asked = [ledger.claim_request("w") for _ in range(3)]
    assert [one.payload["history_titles"] for one in asked] == [
        ["Alien (1979)", "Aliens (1986)"]
    ] * 3
    for one in asked:
        item = {
            "item_id": "7",
            "title": f"For {one.payload['run']}",
            "score": 1.0,
            "withheld": False,
        }
        assert ledger.close_request(
            one, {"items": [item], "history": one.payload["history_titles"]}
        )
    app.run()
    shown = {frame.value["Title"][0] for frame in app.dataframe}
    assert shown == {f"For {one.payload['run']}" for one in asked}


def test_why_explains_and_asks_for_another_item(open_page, tmp_path):
    ledger = synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))
    app = open_page("recommendations/why_this_item.py", tmp_path)
    assert "is recommended mostly because of" in unescaped(app)
    assert app.dataframe[1].value["Shapley value"].sum() == pytest.approx(1.1)
    other = app.selectbox(key="why_item").options[3]
    app.selectbox(key="why_item").select_index(3).run()
    app.button(key="why_explain").click().run()
    assert "no worker is running" in unescaped(app)
    asked = ledger.claim_request("w")
    assert asked.kind == "explain"
    assert asked.payload["user"] == "196" and asked.payload["occasion"] == "evaluation"
    players = [{"item_id": "1", "title": "Toy Story (1995)", "value": 0.5}]
    answer = {
        "base": 1.0,
        "prediction": 1.5,
        "players": players,
        "seconds": 2.5,
        "forwards": 2,
    }
    assert ledger.close_request(asked, answer)
    app.run()
    title = other.split(". ", 1)[1]
    assert f"{title} is recommended mostly because of Toy Story (1995) (+0.500)." in unescaped(app)
    assert "2 new scorings" in unescaped(app)


def test_a_question_says_its_place_in_line_and_can_be_cancelled(open_page, tmp_path, monkeypatch):
    monkeypatch.setenv("LLMREC_LEASE_S", "3600")  # the worker of this test never beats
    ledger = synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))
    ledger.add_worker("w", "host", 1, {})
    before = ledger.request("explain", {"user": "1"})
    app = open_page("recommendations/why_this_item.py", tmp_path)
    app.selectbox(key="why_item").select_index(3).run()
    app.button(key="why_explain").click().run()
    assert "1 question is answered before this one." in unescaped(app)
    ledger.cancel_request(before)
    app.run()
    assert "This question is the next." in unescaped(app)
    app.button(key="why_explain_request_cancel").click().run()
    assert not app.exception
    assert ledger.claim_request("w") is None
    assert "This question is the next." not in unescaped(app)


def test_profile_another_figure_changes_the_chart_and_a_request_is_sent(open_page, tmp_path):
    ledger = synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))
    app = open_page("measure/profile.py", tmp_path)
    app.selectbox(key="profile_figure").select("energy_per_request_j").run()
    assert "Not measured for all rows: no NVML energy counter" in unescaped(app)
    app.text_input(key="profile_candidates").set_value("50")
    app.main.get("button")[0].click().run()
    asked = ledger.claim_request("w")
    assert asked.kind == "profile"
    assert asked.payload["candidates"] == 50
    row = {"name": "latency_p50_s", "value": 0.02, "unit": "s", "protocol": "request/50/batch-1"}
    seconds = {"load": 4.0, "requests": 20.0, "other": 1.0, "total": 25.0}
    assert ledger.close_request(asked, {"rows": [row], "seconds": seconds})
    app.run()
    assert not app.exception
    said = unescaped(app)
    assert "The model answers a request in 20.0 ms (median, 50 candidates, batch 1)." in said
    assert "The measurement took 25.0 s: timing requests 20.0 s, loading the model 4" in said
    table = app.dataframe[-1].value
    assert table.loc[0, "Figure"] == "Latency, half of the requests"
    assert table.loc[0, "Size of a request"] == "50 candidates, batch 1"
    assert not app.get("plotly_chart")[1:], "one size needs no chart beside the page's own"


def test_an_answer_is_still_there_after_the_page_was_loaded_again(open_page, tmp_path):
    ledger = synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))
    app = open_page("measure/profile.py", tmp_path)
    app.main.get("button")[0].click().run()
    request_id = app.query_params["profile_request"]
    asked = ledger.claim_request("w")
    assert asked.id == request_id
    row = {"name": "latency_p50_s", "value": 0.02, "unit": "s", "protocol": "request/50/batch-1"}
    assert ledger.close_request(asked, {"rows": [row]})
    again = open_page("measure/profile.py", tmp_path, profile_request=request_id)
    assert "answers a request in 20.0 ms" in unescaped(again)
    assert ledger.claim_request("w") is None, "nothing is asked a second time"
    other = open_page("measure/profile.py", tmp_path, profile_request="'; drop table requests")
    assert not other.exception
    assert "profile_request" not in other.query_params


def test_a_grid_of_a_finished_run_is_refused_and_nothing_is_sent(open_page, tmp_path):
    ledger = synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))
    app = open_page("measure/profile.py", tmp_path)
    run = next(run for run in ledger.runs() if run.state == "finished")
    app.selectbox(key="profile_subject").select(run.id)
    app.toggle(key="profile_grid_asked").set_value(True)
    app.main.get("button")[0].click().run()
    assert "A grid of sizes is measured of a model" in app.error[0].value
    assert ledger.claim_request("w") is None


def test_this_machine_checks_the_meters(open_page, tmp_path):
    ledger = Ledger.open(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))
    app = open_page("measure/this_machine.py", tmp_path)
    assert any(one.label == "CPU load" for one in app.metric)
    app.button(key="machine_check").click().run()
    asked = ledger.claim_request("w")
    assert asked.kind == "meters"
    check = {"name": "timer", "measured": "1.000 s", "expected": "1 s", "ok": True, "note": ""}
    assert ledger.close_request(asked, {"checks": [check, {**check, "name": "GEMM", "ok": False}]})
    app.run()
    assert "1 of 2 checks passed" in unescaped(app)


def test_data_explains_how_to_get_some(open_page):
    shown = words(open_page("build/data.py", "empty"))
    assert "MovieLens 100k: 100,000 ratings" in shown.replace("\\", "")


def test_train_queues_a_grid(open_page, tmp_path):
    ledger = synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))
    app = open_page("build/train.py", tmp_path)
    assert len(app.dataframe[0].value) == 1
    app.button_group(key="train_depths").set_value(["2", "4"]).run()
    app.button_group(key="train_precisions").set_value(["fp32", "int8-dynamic"]).run()
    assert len(app.dataframe[0].value) == 4
    app.text_input(key="train_study").set_value("mine").run()
    app.button(key="train_queue").click().run()
    queued = ledger.runs("mine")
    assert [run.state for run in queued] == ["queued"] * 4
    assert queued[1].weights_from == queued[0].name
    assert len(ledger.runs("default")) == len(synthetic.ROWS) + 2


def test_train_says_what_contradicts(open_page):
    app = open_page("build/train.py")
    app.selectbox(key="train_family").set_value("fusion").run()
    assert app.dataframe[0].value.iloc[:, 0].tolist() == ["Fusion, Item-kNN + TF-IDF"]
    app.multiselect(key="train_members").set_value(["ease"]).run()
    assert "needs two or more families joined by + in recommender.retriever" in unescaped(app)
    assert not app.dataframe


def test_train_queues_a_cascade_over_a_reader_of_the_study(open_page, tmp_path):
    ledger = synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))
    app = open_page("build/train.py", tmp_path)
    app.selectbox(key="train_family").set_value("cascade").run()
    readers = app.selectbox(key="train_reader").options
    assert synthetic.READER in readers and "SmolLM2 yes/no" not in readers  # it has a retriever
    app.selectbox(key="train_reader").set_value(synthetic.READER).run()
    app.selectbox(key="train_blend").set_value("validation").run()
    app.button(key="train_queue").click().run()
    assert not app.error and not app.exception
    (queued,) = [run for run in ledger.runs("default") if run.name.startswith("Cascade minilm-l6")]
    chosen = queued.spec["recommender"]
    assert queued.weights_from == synthetic.READER
    assert (chosen["depth"], chosen["adaptation"], chosen["blend"]) == (6, "full", "validation")
    app.text_input(key="train_study").set_value("another").run()
    app.button(key="train_queue").click().run()
    assert "fits no run of the study 'another'" in app.error[0].value


def test_train_queues_a_gate_with_the_people_who_teach_it(open_page, tmp_path):
    ledger = synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))
    app = open_page("build/train.py", tmp_path)
    app.selectbox(key="train_family").set_value("cascade").run()
    app.selectbox(key="train_reader").set_value(synthetic.READER).run()
    app.selectbox(key="train_gate").set_value("validation").run()
    app.button(key="train_queue").click().run()
    assert not app.error and not app.exception
    (queued,) = [run for run in ledger.runs("default") if run.name.endswith("gated")]
    assert queued.spec["recommender"]["gate"] == "validation"
    assert queued.spec["training"]["validation_users"] == 1_000


def test_a_run_with_a_gate_shows_what_is_read(open_page, monkeypatch):
    real = records.document
    monkeypatch.setattr(
        records,
        "document",
        lambda study, run, name: GATE if name == "gate" else real(study, run, name),
    )
    app = open_page("build/runs.py")
    assert "What the language model reads" in [header.value for header in app.header]
    assert "the language model reads 21 % of the requests" in unescaped(app)


def test_train_asks_for_a_reader_where_a_study_has_none(open_page):
    app = open_page("build/train.py", "empty")
    app.selectbox(key="train_family").set_value("cascade").run()
    assert "Queue one first" in words(app)
    assert "reads with another run's weights" in app.error[0].value


def test_train_queues_a_student_and_its_run_says_what_it_learned(open_page, tmp_path):
    ledger = synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))
    body = {"run": synthetic.READER, "people": 1000, "items": 10, "seconds": 95.0, "learned": 0.42}
    (run,) = [run for run in ledger.runs("default") if run.name == "SASRec"]
    ledger.add_document(run.id, "teacher", body)
    app = open_page("build/train.py", tmp_path)
    app.selectbox(key="train_family").set_value("distilled-sasrec").run()
    teachers = app.selectbox(key="train_teacher").options
    assert synthetic.READER in teachers and "Item-kNN" not in teachers
    app.selectbox(key="train_teacher").set_value(synthetic.READER).run()
    app.button(key="train_queue").click().run()
    assert not app.error and not app.exception
    name = f"Distilled SASRec, taught by {synthetic.READER}"
    (queued,) = [run for run in ledger.runs("default") if run.name == name]
    assert queued.weights_from == synthetic.READER
    app = open_page("build/runs.py", tmp_path)
    app.selectbox(key="runs_id").select(run.id).run()
    assert f"It was taught by {synthetic.READER}: 1,000 people's lists" in unescaped(app)


def test_train_asks_for_a_teacher_where_a_study_has_none(open_page):
    app = open_page("build/train.py", "empty")
    app.selectbox(key="train_family").set_value("distilled-sasrec").run()
    assert "Queue one first" in words(app)
    assert "learns from another run's lists" in app.error[0].value


def test_runs_retry_and_stop(open_page, tmp_path):
    ledger = synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))
    runs = {run.name: run for run in ledger.runs("default")}
    app = open_page("build/runs.py", tmp_path)
    assert "the matrix is singular" in unescaped(app)
    app.button(key=f"runs_retry_{runs['Broken run'].id}").click().run()
    assert ledger.run(runs["Broken run"].id).state == "queued"
    app.selectbox(key="runs_id").select(runs["Waiting run"].id).run()
    app.button(key=f"runs_stop_{runs['Waiting run'].id}").click().run()
    assert ledger.run(runs["Waiting run"].id).state == "cancelled"


def test_runs_show_before_and_after_fine_tuning(open_page, homes):
    home = homes["filled"]
    ledger = Ledger.open(Settings(home, f"sqlite:///{home / 'ledger.db'}", 30.0))
    tuned = next(run for run in ledger.runs("default") if run.name.endswith("LoRA"))
    app = open_page("build/runs.py")
    app.selectbox(key="runs_id").select(tuned.id).run()
    assert [one.label for one in app.metric] == [
        "Before: NDCG@10",
        "After: NDCG@10",
        "Change, paired",
    ]


def test_a_ledger_that_cannot_be_read_is_a_sentence_on_every_page(open_page, tmp_path):
    (tmp_path / "ledger.db").write_bytes(b"this is no database at all, whatever its name says")
    for page in ("answer/start.py", "build/runs.py"):
        app = open_page(page, tmp_path)
        assert not app.exception
        assert "could not be used" in app.error[0].value.replace("\\", "")


def test_stopping_a_run_that_has_just_ended_is_a_sentence(open_page, tmp_path):
    ledger = synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))
    waiting = next(run for run in ledger.runs("default") if run.name == "Waiting run")
    app = open_page("build/runs.py", tmp_path)
    app.selectbox(key="runs_id").select(waiting.id).run()
    ledger.cancel(waiting.id)
    app.button(key=f"runs_stop_{waiting.id}").click().run()
    assert not app.exception


# ── the recorded sample ──────────────────────────────────────────────────────────────────────────


def test_a_recorded_sample_is_shown_and_badged_until_a_study_of_ones_own_has_finished(
    open_page, tmp_path, homes
):
    source = Ledger.open(
        Settings(homes["filled"], f"sqlite:///{homes['filled'] / 'ledger.db'}", 30.0)
    )
    sample = tmp_path / "study.json"
    sample.write_text(json.dumps(source.export_study("default")), "utf-8")
    home = tmp_path / "home"
    app = open_page("answer/decide.py", home, sample)
    assert not app.exception
    assert "recorded on Test CPU, 2 cores" in unescaped(app)
    assert "not yours" in unescaped(app)
    assert "Take SASRec" in unescaped(app)
    synthetic.write_study(
        Settings(home, f"sqlite:///{home / 'ledger.db'}", 30.0), "own", rows=synthetic.ROWS[:3]
    ).close()
    app = open_page("answer/decide.py", home, sample)
    assert "not yours" not in unescaped(app)
    assert app.selectbox(key="study").options[0].startswith("Films")


@pytest.mark.parametrize("page", PAGES)
def test_the_shipped_sample_fills_every_page(open_page, tmp_path, page):
    app = open_page(page, tmp_path, ROOT / "assets" / "sample" / "study.json")
    assert not app.exception, app.exception[0].message
    assert app.selectbox(key="study").value.startswith("sample:")


def test_streamlits_own_tests_open_the_app_by_its_file(monkeypatch, tmp_path):
    monkeypatch.setenv("LLMREC_HOME", str(tmp_path / "home"))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=180).run()
    app.switch_page(str(ROOT / "pages" / "answer" / "decide.py")).run()
    assert not app.exception
    assert app.title[0].value.startswith("Decide")
