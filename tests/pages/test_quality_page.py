"""The Quality page: marks, slices, noise and label curves; one interaction changes one number."""

from llmrec_core.checks import label_files
from llmrec_core.checks.policy import ReviewQueue
from llmrec_core.reading.published import PublishedFigure
from llmrec_core.settings import Settings
from tests import synthetic

PAGE = "measure/quality.py"


def words(app):
    kinds = ("markdown", "caption", "text", "info", "subheader", "title")
    found = "\n".join(
        str(one.value) for kind in kinds for one in app.main.get(kind) if hasattr(one, "value")
    )
    return found.replace("\\", "")


def test_ties_are_marked_and_another_metric_changes_the_figures(open_page):
    app = open_page(PAGE)
    assert not app.exception
    table = app.dataframe[0].value
    assert set(table["Mark"]) <= {"best", "tied", "worse"}
    assert "Tied: " in words(app)
    before = table["Value"].tolist()
    app.selectbox(key="quality_metric").select("auc").run()
    assert app.dataframe[0].value["Value"].tolist() != before


def test_sizes_of_one_model_stand_on_a_ladder_and_the_margin_decides(open_page):
    app = open_page(PAGE, quality_tab="sizes")
    assert not app.exception
    sizes = app.dataframe[0].value
    assert sizes["Layers"].tolist() == [2, 4, 6]  # neither the LoRA nor the int8 row among them
    assert sizes["Within the margin"].tolist() == ["not shown", "the best", "not shown"]  # fmt: skip
    assert "Not shown for minilm-l6: no size below its best (4 layers)" in words(app)
    app.text_input(key="quality_sizes_margin").set_value("1").run()
    assert not app.exception
    assert app.dataframe[0].value["Within the margin"].tolist()[0] == "shown"
    assert "minilm-l6: 2 layers is the smallest size that is not worse" in words(app)


def test_there_is_no_ladder_without_two_sizes_of_one_model(open_page, tmp_path):
    readers = [row for row in synthetic.ROWS if row[0].startswith("MiniLM cross-encoder")]
    few = tuple(row for row in synthetic.ROWS if row not in readers[:2])
    settings = Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0)
    synthetic.write_study(settings, rows=few).close()
    app = open_page(PAGE, tmp_path, quality_tab="sizes")
    assert not app.exception
    assert "Sizes" not in [tab.label for tab in app.tabs]
    assert "Sizes" in [tab.label for tab in open_page(PAGE).tabs]


def test_slices_are_shown_from_the_address(open_page):
    app = open_page(PAGE, quality_tab="slices")
    assert not app.exception
    table = app.dataframe[0].value
    assert set(table["Group"]) == {"gender F", "gender M"}
    assert set(table["Weakest"]) == {"", "weakest"}


def test_records_without_people_show_the_slices_they_have(open_page, tmp_path, monkeypatch):
    made = synthetic.record

    def without(*arguments):
        figures, samples, documents = made(*arguments)
        return (
            figures,
            samples,
            {name: body for name, body in documents.items() if name != "facets"},
        )

    monkeypatch.setattr(synthetic, "record", without)
    synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0)).close()
    app = open_page(PAGE, tmp_path, quality_tab="slices")
    assert not app.exception
    assert set(app.dataframe[0].value["Group"]) == {"rare items", "short histories"}


def test_noise_is_shown_with_the_worst_slice(open_page):
    app = open_page(PAGE, quality_tab="robustness")
    assert not app.exception
    assert "Hit hardest: injected items for people with gender F" in words(app)
    assert set(app.dataframe[0].value["Noise"]) == {"typos", "injected items", "label flips"}


def test_label_curves_are_read_from_the_home(open_page, tmp_path):
    app = open_page(PAGE, quality_tab="labels")
    assert "No label curve yet" in words(app)
    settings = Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0)
    synthetic.write_study(settings).close()
    rows = [
        {"method": method, "labels": n, "value": 0.1, "low": 0.0, "high": 0.2, "seeds": [0.1] * 3, "train_s": 1.0,
         "train_usd": 1e-5 * n}
        for method in ("Item-kNN", "LoRA") for n in (100, 1000)
    ]  # fmt: skip
    body = {"rows": rows, "metric_title": "NDCG@10", "conditions": "three seeds"}
    label_files.write("films", body, settings)
    app = open_page(PAGE, tmp_path, quality_tab="labels")
    assert not app.exception
    assert len(app.dataframe[0].value) == 4
    app.toggle(key="quality_by_price").set_value(True).run()
    assert not app.exception


def test_lists_are_read_beyond_being_right(open_page):
    app = open_page(PAGE, quality_tab="lists")
    assert not app.exception
    table = app.dataframe[0].value
    assert len(table) == len(synthetic.ROWS)
    assert "Diversity of genres" not in table
    assert "Diversity of genres (items have no genres)" in words(app)
    assert (table["Low"] < table["NDCG@10, items alike"]).all()


def test_checks_say_what_passed_and_what_was_not_made(open_page):
    app = open_page(PAGE, quality_tab="checks")
    assert not app.exception
    made = sum(
        not row[2] for row in synthetic.ROWS
    )  # shuffled labels; every row has the other check
    assert f"All {len(synthetic.ROWS) + made} checks passed" in words(app)
    assert set(app.dataframe[0].value["Result"]) == {"passed", "not made"}


def test_a_policy_is_shown_with_its_cost_and_flagged_items_are_decided(open_page, tmp_path):
    settings = Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0)
    synthetic.write_study(settings).close()
    ReviewQueue.of("ml-100k", settings).add({"7": synthetic.HOSTILE, "9": "damaged"})
    app = open_page(PAGE, tmp_path, quality_tab="policy")
    assert not app.exception
    assert "the policy changes 7 of 120 lists (9 block-genre)" in words(app)
    assert set(app.dataframe[0].value["Lists changed"]) == {7}
    app.selectbox(key="quality_review_item_ml-100k").select("9").run()
    app.button(key="quality_review_approved_ml-100k").click().run()
    assert not app.exception
    assert ReviewQueue.of("ml-100k", settings).states == {"7": "waiting", "9": "approved"}


def test_published_figures_stand_beside_ours(open_page, monkeypatch):
    app = open_page(PAGE, quality_tab="published")
    assert not app.exception
    assert "No published figure of " in words(app)
    figure = PublishedFigure(
        "A of a paper", "7 B", "ndcg@10", 0.99, synthetic.PROTOCOL, "other", 7, "", "authors", "p"
    )
    monkeypatch.setattr("pages.measure.published.published", lambda name: [figure])
    app = open_page(PAGE, quality_tab="published")
    assert not app.exception
    table = app.dataframe[0].value
    assert table["Model"].tolist()[0] == "A of a paper"
    assert set(table["Whose"].tolist()[1:]) == {"ours"}
    assert "the best published one 0.9900 (A of a paper, data set: other)" in words(app)
