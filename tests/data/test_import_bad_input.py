"""Bad files: one sentence with file and place, nothing stored, nothing executed, nothing outside the home."""

import gzip
import io
import json
import pickle
import re
import stat
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import llmrec_core
from llmrec_core.data import store
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.data.importing.described_table import Options
from llmrec_core.data.importing.plan import plan_import
from llmrec_core.data.importing.reading import import_path
from llmrec_core.errors import DataError, LlmrecError, UsageError
from llmrec_core.settings import Settings

GOOD = (
    "user_id,item_id,rating,timestamp\nu1,i1,5,1500000000\nu1,i2,3,1500000100\nu2,i1,1,1500000200\n"
)


@pytest.fixture
def home(tmp_path):
    return Settings(tmp_path / "home", "sqlite://", 30.0)


def zipped(**entries):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    return content.getvalue()


def link_zip():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        entry = zipfile.ZipInfo("ratings.csv")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    return content.getvalue()


class Bomb:
    """Unpickling this writes a marker."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.write_text, (Path(self.marker), "ran")


PARQUET = io.BytesIO()
pd.DataFrame({"user_id": ["a"] * 50, "item_id": ["b"] * 50}).to_parquet(PARQUET)
CASES = {
    "empty file": (b"", "is empty"),
    "blank": (b"\n \n", "blank|empty"),
    "header only": (b"user_id,item_id\n", "no rows|header"),
    "one column": (b"user_id\nu1\nu2\n", "one column only.*--separator"),
    "100,000 columns": (
        ",".join(f"c{i}" for i in range(100_000)).encode() + b"\n" + b"1," * 99_999 + b"1\n",
        r"line 1: [0-9,]+ columns or more",
    ),
    "NUL": (GOOD.replace("u2", "u\0").encode(), r"line 4: a NUL byte"),
    "mixed encodings": (
        "user_id,item_id\nJosé,i1\n".encode() + "René,i2\n".encode("latin-1"),
        r"line 2 is UTF-8, line 3 is not.*--encoding",
    ),
    "two columns of one name": (
        GOOD.replace("rating", "user_id").encode(),
        r"columns 1 and 3.*'user_id'",
    ),
    "a longer row": (
        (GOOD + "u3,i1,2,1500000300,more\n").encode(),
        r"line 5: 5 columns where the others have 4.*--skip-bad-rows",
    ),
    "a word for a rating": (
        GOOD.replace("i2,3", "i2,good").encode(),
        r"line 3, column 'rating': 'good' is no number",
    ),
    "a word for a time": (
        GOOD.replace("1500000100", "yesterday").encode(),
        r"line 3, column 'timestamp'|no known form",
    ),
    "an item without id": (GOOD.replace("i2", "").encode(), r"line 3, column 'item_id'.*empty"),
    "an open quotation mark": ((GOOD + 'u3,"i9,1,1500000300\n').encode(), "quotation mark"),
    "broken gzip": (gzip.compress(GOOD.encode() * 50)[:-20], "damaged after"),
    "gzip of noise": (b"\x1f\x8b" + bytes(range(200)), "damaged"),
    "twice gzip": (gzip.compress(gzip.compress(GOOD.encode())), "compressed twice"),
    "broken zip": (zipped(**{"ratings.csv": GOOD})[:-30], "cannot be read|damaged"),
    "zip with ../": (zipped(**{"../ratings.csv": GOOD}), "outside the archive"),
    "zip with absolute path": (zipped(**{"/etc/ratings.csv": GOOD}), "outside the archive"),
    "zip with a drive": (zipped(**{"C:\\ratings.csv": GOOD}), "outside the archive"),
    "zip with a link": (link_zip(), "is a link"),
    "zip in a zip": (zipped(**{"inner.zip": zipped(a="b")}), "archive in an archive"),
    "zip bomb": (zipped(**{"ratings.csv": b"0" * 300_000_000}), "expands"),
    "empty zip": (zipped(), "no files"),
    "Office document": (
        zipped(**{"[Content_Types].xml": "<x/>", "xl/sheet1.xml": "<x/>"}),
        "save the sheet as CSV",
    ),
    "torch file": (zipped(**{"archive/data.pkl": "x"}), "pickle"),
    "truncated parquet": (PARQUET.getvalue()[:-100], "cannot be read as Parquet"),
    "parquet in name only": (b"PAR1" + b"x" * 100, "cannot be read as Parquet"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "an HDF5 file"),
    "NumPy": (b"\x93NUMPY\x01\x00" + b"x" * 100, "a NumPy array"),
    "one JSON object": (b'{\n "users": 1,\n "items": 2\n}\n', "one JSON object"),
    "damaged JSON": (
        b'[{"user_id": 1, "item_id": 2},\n{"user_id": 1, item_id: 2}]',
        r"line 2, column",
    ),
    "damaged JSON line": (
        b'{"user_id": 1, "item_id": 2}\n{"user_id": 1, \n',
        r"line 2: not a JSON object",
    ),
    "JSON of numbers": (b"[\n1, 2, 3]", "one column only"),
    "deep JSON": (
        b'[{"user_id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
        "nested|damaged|deep|recursion",
    ),
    "no interactions": (b"item_id,title\n1,Heat\n2,Speed\n", "no table of interactions"),
    "prose": (
        b"Once upon a time there was a user\nwho liked an item very much indeed\n",
        "one column|--user",
    ),
}


@pytest.mark.threat("crafted-table", "zip-bomb", "failed-import")
@pytest.mark.parametrize("case", CASES)
def test_bad_files_get_one_sentence_and_nothing_is_stored(case, home, tmp_path):
    content, told = CASES[case]
    path = tmp_path / "upload.csv"
    path.write_bytes(content)
    with pytest.raises((DataError, UsageError)) as caught:
        import_path(path, "toy", home)
    message = str(caught.value)
    assert re.search(told, message), message
    assert "\n" not in message
    assert len(message) < 500
    assert not home.datasets.exists() or not list(home.datasets.iterdir())


def test_parquet_that_contradicts_itself_is_a_sentence(home):
    """Asking pyarrow 26 for the figures of such a column ends the process."""
    path = Path(__file__).parents[1] / "fixtures" / "contradicting.parquet"
    with pytest.raises(DataError, match=r"cannot be read as Parquet .*histogram size mismatch"):
        import_path(path, "toy", home)


def test_a_zip_member_without_a_name_is_a_sentence(home, tmp_path):
    path = tmp_path / "data.zip"
    path.write_bytes(zipped(**{"Xname.csv": GOOD}).replace(b"Xname.csv", b"\0name.csv"))
    with pytest.raises(DataError) as caught:
        import_path(path, "toy", home)
    assert "string index" not in str(caught.value)


@pytest.mark.threat("pickle")
@pytest.mark.parametrize("protocol", [0, 1, 2, 5])
@pytest.mark.parametrize(
    "wrap",
    [lambda content: content, gzip.compress, lambda content: zipped(**{"ratings.csv": content})],
)
def test_pickles_are_refused_by_content_and_never_run(protocol, wrap, home, tmp_path):
    marker = tmp_path / "marker"
    path = tmp_path / "ratings.csv"
    path.write_bytes(wrap(pickle.dumps(Bomb(str(marker)), protocol=protocol)))
    with pytest.raises((DataError, UsageError)):
        import_path(path, "toy", home)
    assert not marker.exists()


@pytest.mark.threat("pickle")
def test_no_code_of_ours_unpickles():
    root = Path(llmrec_core.__file__).parent
    banned = re.compile(
        r"^\s*(import|from)\s+(pickle|dill|joblib|cloudpickle)\b|read_pickle|allow_pickle=True|weights_only=False",
        re.MULTILINE,
    )
    assert [
        path.name for path in root.rglob("*.py") if banned.search(path.read_text(encoding="utf-8"))
    ] == []


@pytest.mark.threat("path-names")
@pytest.mark.parametrize(
    "name",
    [
        "../up",
        "..",
        "a/b",
        "a\\b",
        "%2e%2e%2f",
        "%252e%252e",
        "a#b",
        "//proc/self/root",
        "",
        ".",
        "-x",
        "A",
        "con:",
        "ａ",
        "x" * 300,
        "a\0b",
        "a b",
        "\u202eb",
        "ml-100k",
    ],
)
def test_names_cannot_leave_the_home(name, home, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(GOOD)
    with pytest.raises(UsageError):
        import_path(path, name, home)
    assert not home.home.exists()


@pytest.mark.threat("path-names")
@pytest.mark.parametrize("name", ["con", "nul.txt", "aux"])
def test_names_that_are_devices_elsewhere_are_only_names(name, home, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(GOOD)
    import_path(path, name, home)
    assert [len(folder.name) for folder in home.datasets.iterdir()] == [16]
    assert load_dataset(name, home).n_users == 2


@pytest.mark.threat("failed-import")
def test_a_failed_import_leaves_the_stored_version_as_it_was(home, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(GOOD)
    before = import_path(path, "toy", home).content_hash
    path.write_text(GOOD + "u9,i9,bad,1500000000\n")
    with pytest.raises(DataError):
        import_path(path, "toy", home)
    assert load_dataset("toy", home).content_hash == before
    path.write_text(GOOD + "u9,i9,4,1500000900\n")
    import_path(path, "toy", home)
    assert load_dataset("toy", home).n_users == 3
    assert load_dataset("toy@1", home).content_hash == before


@pytest.mark.threat("failed-import", "full-disk")
def test_a_full_disk_is_a_sentence(home, tmp_path, monkeypatch):
    path = tmp_path / "ratings.csv"
    path.write_text(GOOD)

    def full(frame, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_write", full)
    with pytest.raises(DataError, match="the disk is full"):
        import_path(path, "toy", home)
    assert not list(home.datasets.iterdir())


@pytest.mark.threat("damaged-data")
def test_a_stored_file_that_was_changed_is_refused(home, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(GOOD)
    import_path(path, "toy", home)
    stored = next(home.datasets.rglob("interactions.parquet"))
    content = bytearray(stored.read_bytes())
    content[30] ^= 1
    stored.write_bytes(content)
    with pytest.raises(DataError, match="changed or damaged"):
        load_dataset("toy", home)
    stored.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        load_dataset("toy", home)
    store.delete("toy", home)
    with pytest.raises(UsageError, match="no data set 'toy'"):
        load_dataset("toy", home)


@pytest.mark.threat("any-bytes")
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=400), st.integers(0, 200))
def test_any_bytes_give_a_plan_or_a_sentence(tmp_path, noise, cut):
    path = tmp_path / "noise.csv"
    for content in (noise, GOOD.encode()[:cut] + noise):
        path.write_bytes(content)
        try:
            plan_import(path, Options())
        except LlmrecError as error:
            assert "\n" not in str(error)


@pytest.mark.threat("any-bytes", "crafted-table")
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(8, len(PARQUET.getvalue()) - 1), st.integers(0, 255))
def test_damaged_parquet_never_takes_the_process(tmp_path, position, value):
    content = bytearray(PARQUET.getvalue())
    content[position] = value
    path = tmp_path / "x.parquet"
    path.write_bytes(bytes(content))
    try:
        plan_import(path, Options())
    except LlmrecError as error:
        assert "\n" not in str(error)


def test_missing_paths_and_empty_folders(home, tmp_path):
    with pytest.raises(UsageError, match="nothing at"):
        import_path(tmp_path / "nowhere", "toy", home)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no files"):
        import_path(tmp_path / "empty", "toy", home)


@pytest.mark.threat("crafted-table", "decoded-size")
def test_long_lines_are_refused(tmp_path, monkeypatch):
    from llmrec_core.data.importing import text_stream

    monkeypatch.setattr(text_stream, "MAX_LINE_BYTES", 1_000)
    path = tmp_path / "ratings.csv"
    path.write_text(GOOD + "u3," + "x" * 5_000_000 + ",1,1500000300\n")
    with pytest.raises(DataError, match=r"line \d+: longer than"):
        plan_import(path, Options()).raise_problems()


def test_bad_rows_can_be_left_out(home, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(
        GOOD + "u3,i1,bad,1500000300\nu4,i4,4,1500000400,more,columns\nu5,i5,3,1500000500\n"
    )
    data = import_path(path, "toy", home, Options(skip_bad_rows=True))
    assert data.users.user_id.tolist() == [
        "u1",
        "u2",
        "u3",
        "u5",
    ] or data.users.user_id.tolist() == ["u1", "u2", "u5"]
    assert len(data.interactions) == 4


def test_no_titles_means_id_models_only(home, tmp_path):
    from llmrec_core.data.text import require_titles

    path = tmp_path / "ratings.csv"
    path.write_text(GOOD)
    data = import_path(path, "toy", home)
    with pytest.raises(LlmrecError, match="id model"):
        require_titles(data, "a cross-encoder")
    assert np.isfinite(data.interactions.rating).all()


def test_json_output_has_no_machine_path(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(GOOD)
    assert str(tmp_path) not in json.dumps(plan_import(path, Options()).rows())


def test_a_separator_that_stands_in_no_line_is_named(tmp_path, home):
    file = tmp_path / "shop.csv"
    file.write_text(GOOD)
    with pytest.raises(DataError, match=r"shop\.csv has one column where ';' separates them"):
        import_path(file, "shop", home, Options(separator=";"))
