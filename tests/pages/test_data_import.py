"""The Data page imports in a child, shows evidence and report, and offers versions and deletion."""

import doctest

import pytest

from llmrec_core.data.catalogue import load_dataset
from llmrec_core.data.importing import isolated
from llmrec_core.data.importing.reading import import_path
from llmrec_core.errors import DataError, UsageError
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.settings import Settings, load_settings

GOOD = b"user_id,item_id,rating,timestamp\n" + b"".join(
    f"u{u},i{i},{1 + i % 5},{1_500_000_000 + i * 90_000}\n".encode()
    for u in range(6)
    for i in range(5)
)


@pytest.fixture
def home(tmp_path):
    return Settings(tmp_path / "home", "sqlite://", 30.0)


def test_a_look_stores_nothing_and_an_import_does(home):
    seen = isolated.import_files([("ratings.csv", GOOD)], "shop", home, store=False)
    assert seen.interactions == 30
    assert not home.datasets.exists()
    stored = isolated.import_files(
        [("../../ratings.csv", GOOD), ("readme.md", b"hello")], "shop", home
    )
    assert stored.version == 1
    assert [row["kind"] for row in stored.tables] == ["interactions", "skipped"]


@pytest.mark.parametrize(
    ("content", "kind", "told"),
    [
        (b"1,2\n3,4\n", UsageError, "--kind"),
        (b"\x80\x04pickle", DataError, "pickle"),
    ],
)
def test_what_must_be_settled_comes_back_as_a_problem(content, kind, told, home):
    outcome = isolated.import_files([("x.csv", content)], "shop", home)
    with pytest.raises(kind, match=told):
        outcome.raise_problems()
    assert not any("--" in problem.error().on_page for problem in outcome.problems)
    assert outcome.version is None
    assert not home.datasets.exists()


def test_a_name_that_is_item_and_title_is_shown_as_both(home):
    """The headerless log of Steam: person, game, what happened, hours, 0."""
    games = [f"Game of {word}" for word in ("Chess", "Dice", "Cards", "Goose", "Life", "Stones")]
    rows = [
        f"{1000 + user},{game},{event},{hours},0"
        for user in range(40)
        for game in games[user % 3 :]
        for event, hours in (("purchase", 1.0), ("play", 0.5 + user))
    ]
    content = "\n".join(rows).encode()
    seen = isolated.import_files([("steam.csv", content)], "steam", home, store=False)
    roles = [column.roles for column in seen.previews[0].columns]
    assert roles == [("user",), ("item", "title"), (), ("rating",), ()]


def test_empty_files_are_refused(home):
    with pytest.raises(DataError, match="empty"):
        isolated.import_files([("x.csv", b"")], "shop", home)


def test_large_uploads_are_sent_to_the_command_line(home, monkeypatch):
    monkeypatch.setattr(isolated, "MAX_UPLOAD_BYTES", 10)
    with pytest.raises(DataError, match="data import PATH"):
        isolated.import_files([("x.csv", GOOD)], "shop", home)


def test_an_imported_set_shows_its_versions_and_can_be_deleted(open_page, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_bytes(GOOD)
    home = tmp_path / "home"
    import_path(path, "shop", Settings(home, "sqlite://", 30.0))
    app = open_page("build/data.py", home)
    assert not app.exception
    versions = next(frame.value for frame in app.dataframe if "Version" in frame.value)
    assert versions["Version"].tolist() == ["shop@1"]
    app.checkbox(key="data_sure").check().run()
    app.button(key="data_delete").click().run()
    assert not app.exception
    assert not list((home / "datasets").glob("*/dataset.json"))


def test_examples_in_the_documentation():
    assert doctest.testmod(isolated).failed == 0


@pytest.mark.threat("stale-data")
def test_a_second_import_is_seen_by_the_pages_and_by_train(open_page, tmp_path):
    home = Settings(tmp_path / "home", "sqlite://", 30.0)
    path = tmp_path / "ratings.csv"
    path.write_bytes(GOOD)
    import_path(path, "shop", home)
    app = open_page("build/data.py", home.home)
    assert [metric.value for metric in app.metric[:3]] == ["6", "5", "30"]
    path.write_bytes(GOOD + b"u9,i9,4,1500000000\n")
    newest = import_path(path, "shop", home)
    app.run()
    assert [metric.value for metric in app.metric[:3]] == ["7", "6", "31"]
    train = open_page("build/train.py", home.home, train_data="shop", train_family="item-knn")
    train.button(key="train_queue").click().run()
    assert not train.exception
    ledger = Ledger.open(load_settings())
    assert {run.spec["data"]["content_hash"] for run in ledger.runs()} == {newest.content_hash}
    ledger.close()


ORDERS = "Kunde;Ware;Bestellt;Preis\n" + "".join(
    f"k{u};w{i};0{1 + u % 9}/0{1 + i % 9}/2026;9,50\n" for u in range(6) for i in range(5)
)
GOODS = "Ware;Text;Sparte\n" + "".join(f"w{i};Ein Ding Nummer {i};Haushalt\n" for i in range(5))


def test_files_are_looked_at_settled_stored_and_trained_on(open_page, tmp_path):
    """Two files, times that may be day or month first, a title that another column holds."""
    home = tmp_path / "home"
    app = open_page("build/data.py", home)
    app.file_uploader(key="data_files").set_value(
        [("orders.csv", ORDERS.encode(), "text/csv"), ("goods.csv", GOODS.encode(), "text/csv")]
    ).run()
    app.button(key="data_look").click().run()
    assert not app.exception
    assert "1 thing has to be settled" in app.warning[0].value
    (asked,) = [text.value for text in app.text if "day or month first" in text.value]
    assert "choose whether day or month comes first" in asked
    assert not any("--" in text.value for text in [*app.text, *app.caption, *app.warning])
    previews = [list(frame.value.columns) for frame in app.dataframe]
    assert ["Ware → Item", "Text → Title", "Sparte → Category"] in previews
    files = [shown.label for shown in app.expander if shown.label != "From a terminal"]
    orders = next(n for n, label in enumerate(files) if "orders" in label)
    key = f"data_file{orders}"
    if not [box for box in app.selectbox if box.key == f"{key}_time_form"]:
        key = next(b.key for b in app.selectbox if b.key.endswith("_time_form"))[:10]
    app.selectbox(key=f"{key}_time_form").set_value("%d/%m/%Y")
    app.text_input(key="data_new_name").set_value("laden")
    app.button(key="data_look_again").click().run()
    assert "An import would store 30 interactions, 6 users, 5 items." in app.info[-1].value
    app.button(key="data_import").click().run()
    assert not app.exception
    assert "Stored as version 1: 30 interactions" in app.success[0].value
    stored = load_dataset("laden", Settings(home, "sqlite://", 30.0))
    assert stored.items.title[0] == "Ein Ding Nummer 0"
    assert stored.source == "orders.csv, goods.csv"
    assert stored.interactions.timestamp[0] == 1_767_225_600  # 1 January 2026


def test_rows_that_cannot_be_read_are_counted_and_left_out_on_request(open_page, tmp_path):
    app = open_page("build/data.py", tmp_path / "home")
    damaged = GOOD + b"u1,i1,good,1500000000\nu2,,3,1500000000\nu3,i3,bad,1500000000\n"
    app.file_uploader(key="data_files").set_value([("ratings.csv", damaged, "text/csv")]).run()
    app.button(key="data_look").click().run()
    told = " ".join(text.value for text in app.text)
    assert "'good' is no number (and 1 row more like it)" in told
    assert "line 33, column 'item_id': '' is empty" in told
    app.checkbox(key="data_skip").check()
    app.text_input(key="data_new_name").set_value("toy")
    app.button(key="data_look_again").click().run()
    left_out = " ".join(line.value for line in app.markdown)
    assert "2 rows left out" in left_out
    assert "1 row left out" in left_out
    app.button(key="data_import").click().run()
    assert "30 interactions" in app.success[0].value


def test_a_column_and_a_kind_can_be_chosen_for_each_file(open_page, tmp_path):
    """Names that mean nothing: the form asks, and two pickers settle it."""
    app = open_page("build/data.py", tmp_path / "home")
    content = "a,b,c\n" + "".join(f"x{u},y{i},{i}\n" for u in range(5) for i in range(4))
    app.file_uploader(key="data_files").set_value([("t.csv", content.encode(), "text/csv")]).run()
    app.text_input(key="data_new_name").set_value("toy")
    app.button(key="data_look").click().run()
    assert any("choose the user and item columns" in text.value for text in app.text)
    app.selectbox(key="data_file0_user").set_value("a")
    app.selectbox(key="data_file0_item").set_value("b")
    app.button(key="data_import").click().run()
    assert "20 interactions, 5 users, 4 items" in app.success[0].value
