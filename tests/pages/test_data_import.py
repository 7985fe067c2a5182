"""The Data page imports in a child, shows evidence and report, and offers versions and deletion."""

import doctest

import pytest

from llmrec_core.data import isolated
from llmrec_core.data.importing import import_path
from llmrec_core.errors import DataError, UsageError
from llmrec_core.settings import Settings

GOOD = b"user_id,item_id,rating,timestamp\n" + b"".join(
    f"u{u},i{i},{1 + i % 5},{1_500_000_000 + i * 90_000}\n".encode() for u in range(6) for i in range(5)
)


@pytest.fixture
def home(tmp_path):
    return Settings(tmp_path / "home", "sqlite://", 30.0)


def test_a_look_stores_nothing_and_an_import_does(home):
    seen = isolated.import_files([("ratings.csv", GOOD)], "shop", home, store=False)
    assert seen["interactions"] == 30
    assert not home.datasets.exists()
    stored = isolated.import_files([("../../ratings.csv", GOOD), ("readme.md", b"hello")], "shop", home)
    assert stored["version"] == 1
    assert [row["kind"] for row in stored["tables"]] == ["interactions", "skipped"]


@pytest.mark.parametrize(
    ("content", "kind", "told"),
    [(b"1,2\n3,4\n", UsageError, "--kind"), (b"\x80\x04pickle", DataError, "pickle"), (b"", DataError, "empty")],
)
def test_what_the_child_refuses_comes_back_as_its_sentence(content, kind, told, home):
    with pytest.raises(kind, match=told):
        isolated.import_files([("x.csv", content)], "shop", home)
    assert not home.datasets.exists()


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
