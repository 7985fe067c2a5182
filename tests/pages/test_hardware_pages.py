"""Other hardware, and Decide on a predicted device: empty, filled; one change, one other number."""

from pathlib import Path

from tests.pages.test_pages import unescaped

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "assets" / "sample" / "study.json"


# ── Other hardware ───────────────────────────────────────────────────────────────────────────────


def test_other_hardware_puts_predictions_beside_the_measurement(open_page):
    app = open_page("measure/other_hardware.py")
    shown = unescaped(app)
    assert not app.exception
    assert (
        "MiniLM, 6 layers, int8 answers a request in 152 ms on Test CPU, 2 cores (median, measured)"
        in shown
    )
    table = app.dataframe[0].value
    assert table["How"].iloc[0] == "measured"
    assert set(table["How"][1:]) == {"predicted"}
    line = table.set_index("Machine").loc["L4"]
    for figure in ("Latency", "$ per million", "Memory", "Energy per request"):
        assert line[f"{figure}, low"] < line[figure] < line[f"{figure}, high"]
    before = line["Latency"]
    app.selectbox(key="other_run").select_index(
        len(app.selectbox(key="other_run").options) - 1
    ).run()
    assert app.dataframe[0].value.set_index("Machine").loc["L4", "Latency"] != before


def test_other_hardware_shows_every_device_and_says_what_cannot_be_predicted(open_page):
    app = open_page("measure/other_hardware.py", other_precision="fp8")
    app.toggle(key="other_all").set_value(True).run()
    assert len(app.dataframe[0].value) > 35
    app.selectbox(key="other_precision").select("int8-dynamic").run()
    assert "has no int8 arithmetic" in unescaped(app)


def test_other_hardware_without_runs_still_explains_how_good_predictions_are(open_page):
    app = open_page("measure/other_hardware.py", "empty")
    assert "Nothing to predict from yet" in unescaped(app)
    app = open_page("measure/other_hardware.py", "empty", other_tab="trust")
    assert not app.exception
    assert "On GPUs it had never seen, the median prediction was off by " in unescaped(app)
    errors = app.dataframe[0].value
    assert {"Median error", "Naive", "Inside the 80 % interval", "Aimed at"} <= set(errors.columns)
    app.button_group(key="other_left_out").set_value("framework").run()
    assert list(app.dataframe[0].value["Median error"]) != list(errors["Median error"])


def test_other_hardware_lists_the_devices_with_sources(open_page):
    app = open_page("measure/other_hardware.py", other_tab="devices")
    assert {"Verified", "Source"} <= set(app.dataframe[0].value.columns)


# ── Decide on a predicted device ─────────────────────────────────────────────────────────────────


def test_decide_names_the_machine_and_that_it_is_predicted(open_page):
    app = open_page("answer/decide.py", decide_language="true")
    assert "measured on Test CPU, 2 cores" in unescaped(app)
    app.selectbox(key="decide_machine").select("L4").run()
    assert not app.exception
    table = app.dataframe[0].value.set_index("Run")
    assert table.loc["MiniLM cross-encoder, 6 layers", "Costs"] == "predicted on L4"
    assert table.loc["Text-SASRec, MiniLM", "Costs"] == "measured on Test CPU, 2 cores"
    app = open_page("answer/decide.py", decide_machine="L4")
    assert (
        app.dataframe[0].value.set_index("Run").loc["EASE", "Costs"]
        == "measured on Test CPU, 2 cores"
    )


def test_decide_names_the_cheapest_device_predicted_when_the_limit_fails_here(open_page):
    app = open_page("answer/decide.py", decide_language="true")
    app.text_input(key="p95").set_value("3.1").run()
    assert "Nothing measured keeps these limits" in unescaped(app)
    shown = unescaped(app)
    assert not app.exception
    assert "Predicted, not measured: " in shown or "No priced device" in shown


def test_the_recorded_sample_is_predicted(open_page, tmp_path):
    app = open_page("measure/other_hardware.py", tmp_path, SAMPLE)
    assert not app.exception
    assert not app.error
