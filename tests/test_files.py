"""A file is whole or not there, its digest is its content's, and TOML is refused in a sentence."""

from __future__ import annotations

import json

import pytest

from llmrec_core.errors import UsageError
from llmrec_core.files import read_toml, sha256_of, write_atomic, write_csv, write_json, write_text


@pytest.mark.threat("torn-write")
def test_a_write_that_fails_leaves_the_earlier_file_alone(tmp_path):
    path = tmp_path / "folder" / "a.txt"
    write_text(path, "first")

    def half(file):
        file.write(b"sec")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        write_atomic(path, half)
    assert path.read_text() == "first"
    assert [file.name for file in path.parent.iterdir()] == ["a.txt"]


def test_a_document_keeps_its_letters(tmp_path):
    write_json(tmp_path / "a.json", {"title": "Amélie → 愛"}, indent=1)
    text = (tmp_path / "a.json").read_text()
    assert "Amélie → 愛" in text and json.loads(text) == {"title": "Amélie → 愛"}


def test_a_digest_is_that_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")  # the example of FIPS 180-4
    assert sha256_of(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "there is no file"), (b"a = ", "cannot be read as TOML"), (b"\xff", "cannot be read")],
)
def test_what_is_no_toml_is_refused(content, sentence, tmp_path):
    path = tmp_path / "a.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=sentence):
        read_toml(path)


@pytest.mark.threat("formula")
def test_text_of_a_csv_is_no_formula_and_numbers_stay_numbers(tmp_path):
    lines = ({"name": "=1+1", "value": -0.5, "text": "-0.5"}, {"name": "@x", "other": 1})
    write_csv(tmp_path / "a" / "t.csv", ["name", "value", "text"], lines)
    written = (tmp_path / "a" / "t.csv").read_bytes()
    assert written == b"name,value,text\n'=1+1,-0.5,-0.5\n'@x,,\n"


@pytest.mark.threat("torn-write")
def test_csv_that_breaks_off_leaves_the_earlier_one(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("before")

    def lines():
        yield {"a": 1}
        raise RuntimeError("the second line")

    with pytest.raises(RuntimeError):
        write_csv(path, ["a"], lines())
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
