"""`data …` from the command line: import, inspect, clean, check, delete, and failures as one sentence."""

import json

import pytest
import typer
from typer.testing import CliRunner

from llmrec_core.cli import data
from llmrec_core.errors import LlmrecError, UsageError

HEADER = "user_id,item_id,title,rating,timestamp\n"


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Runs a command; returns its last line as JSON. Our errors come through, as the real entry point prints them."""
    monkeypatch.setenv("LLMREC_HOME", str(tmp_path / "home"))
    app = typer.Typer()
    data.register(app)

    def run(*arguments, exit_code=0):
        result = CliRunner().invoke(app, [*arguments, "--json"])
        if isinstance(result.exception, LlmrecError):
            raise result.exception
        assert result.exit_code == exit_code, result.output
        return json.loads(result.stdout.strip().splitlines()[-1])

    return run


@pytest.fixture
def ratings(tmp_path):
    rows = [
        f"u{u},i{(u * 7 + n * 3) % 40},Film {n},{1 + n % 5},{1_500_000_000 + n * 90_000 + u}"
        for u in range(30)
        for n in range(8)
    ]
    path = tmp_path / "ratings.csv"
    path.write_text(HEADER + "\n".join([*rows, rows[0]]) + "\n")
    return str(path)


def test_the_life_of_a_data_set(call, ratings):
    dry = call("data", "import", ratings, "--name", "shop", "--dry-run")
    assert dry["version"] is None
    assert [row["name"] for row in call("data", "list")] == ["ml-100k"]
    stored = call("data", "import", ratings, "--name", "shop")
    assert (stored["version"], stored["interactions"], stored["order"]) == (1, 241, "time")
    assert stored["tables"][0]["roles"]["user"] == "user_id"
    report = call("data", "inspect", "shop")
    assert next(f for f in report["findings"] if f["check"] == "duplicates")["count"] == 1
    cleaned = call("data", "clean", "shop", "--k-core", "2")
    assert cleaned["version"] == 2
    assert call("data", "clean", "shop", "--k-core", "2")["version"] is None  # nothing left to do
    assert [row.get("interactions") for row in call("data", "list")][1:] == [241, 240]
    checks = call("data", "check", "shop", "--candidates", "20-uniform", "--family", "popularity")
    assert {row["check"] for row in checks} >= {
        "train-test-overlap",
        "independent-metric",
        "shuffled-labels",
    }
    assert call("data", "delete", "shop", "--yes") == {"deleted": "shop", "versions": 2}
    with pytest.raises(UsageError, match="no data set 'shop'"):
        call("data", "inspect", "shop")


def test_usage_errors(call, ratings):
    for arguments, told in [
        (("import", ratings, "--name", "../x"), "data set name"),
        (("import", ratings, "--name", "shop", "--format", "xml"), "--format is 'xml'"),
        (("import", ratings + ".gone", "--name", "shop"), "nothing at"),
        (("delete", "ml-100k", "--yes"), "built in"),
        (("inspect", "mv-100k"), "did you mean 'ml-100k'"),
    ]:
        with pytest.raises(UsageError, match=told):
            call("data", *arguments)


def test_an_undecided_file_names_the_flag(call, tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("1,2\n3,4\n")
    with pytest.raises(UsageError, match="--kind") as caught:
        call("data", "import", str(path), "--name", "pairs")
    assert caught.value.exit_code == 2


def test_equal_times_in_another_order_are_a_data_set_of_their_own(call, tmp_path):
    rows = [
        f"u{u},i{(u + n) % 12},{1_500_000_000 + 86_400 * (n // 2)}"
        for u in range(20)
        for n in range(6)
    ]
    file = tmp_path / "days.csv"
    file.write_text("user_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
    stored = call("data", "import", str(file), "--name", "days")
    first = call("data", "shuffle-ties", "days", "--as", "days-1", "--seed", "1")
    second = call("data", "shuffle-ties", "days", "--as", "days-2", "--seed", "2")
    assert len({stored["content_hash"], first["content_hash"], second["content_hash"]}) == 3
    versions = {row["name"]: row for row in call("data", "list")}
    assert versions["days-1"]["interactions"] == versions["days"]["interactions"] == 120
    assert versions["days-1"]["note"] == "days, equal times in an order drawn with seed 1"
    with pytest.raises(UsageError, match="there is a data set 'days-1' already"):
        call("data", "shuffle-ties", "days", "--as", "days-1")
    call("data", "import", str(file), "--name", "file", "--order", "file")
    with pytest.raises(UsageError, match="is not ordered by time"):
        call("data", "shuffle-ties", "file", "--as", "other")
