"""Small but legal data, from files to lists: fewer items than asked, ids without titles, one candidate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow

# Two groups of people who share nothing; q's two items are known to nobody else.
ISLANDS = {
    "a": "i01 i02 i03 i04",
    "b": "i02 i03 i04 i01",
    "c": "i03 i04 i01 i05",
    "d": "i04 i05 i01 i02",
    "x": "i08 i09 i10 i11",
    "y": "i09 i10 i11 i12",
    "z": "i10 i11 i12 i13",
    "w": "i11 i12 i14 i08",
    "q": "i06 i07",
}
# Items appear in the order 7, 3, 8, 1, 5, 2: a position is a real but different item's id.
NUMBERS = {
    "501": "7 3 8 1",
    "502": "3 8 1 5",
    "503": "8 1 7 5",
    "504": "7 8 5 2",
    "505": "3 1 5 2",
    "506": "1 7 2 3",
    "507": "8 5 7 3",
}
EVERYBODY_HAS_ALL = {f"n{u}": " ".join(f"k{(u + n) % 4}" for n in range(4)) for u in range(6)}
ONE_COMPLETIONIST = {
    **{f"n{u}": " ".join(f"k{(u * step + n) % 8}" for n in range(4)) for u, step in enumerate((1, 3, 1, 5, 1, 3, 7, 5))},
    "all": " ".join(f"k{n}" for n in range(8)),
}  # fmt: skip
DATA = {
    "islands": ISLANDS,
    "numbers": NUMBERS,
    "all4": EVERYBODY_HAS_ALL,
    "one": ONE_COMPLETIONIST,
}
STUDY = 'name = "small"\ntitle = "Small catalogues"\n' + "".join(
    f"""
[[run]]
name = "{name} knn"
data = {{ name = "{name}" }}
protocol = {{ split = "loo", candidates = "full", users = 0, k = {2 if name == "numbers" else 10} }}
recommender = {{ family = "item-knn" }}
"""
    for name in DATA
)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A home with an item-kNN run on each of the four sets."""
    folder = tmp_path_factory.mktemp("small")
    for name, histories in DATA.items():
        rows = [
            f"{user},{item},{1_600_000_000 + 1_000 * place + step}"
            for place, (user, items) in enumerate(histories.items())
            for step, item in enumerate(items.split())
        ]
        (folder / f"{name}.csv").write_text("user,item,timestamp\n" + "\n".join(rows) + "\n")
        run(folder, "data", "import", f"{name}.csv", "--name", name)
    (folder / "small.toml").write_text(STUDY)
    run(folder, "study", "small.toml")
    return folder


def run(home: Path, *words: str) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "llmrec_core", *words],
        cwd=home,
        env={**os.environ, "LLMREC_HOME": str(home), "LLMREC_LEDGER": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return done.stdout


def answer(home: Path, *words: str) -> dict:
    return strict(run(home, *words, "--json").strip().splitlines()[-1])


def strict(text: str):
    def refuse(word: str) -> None:
        raise AssertionError(f"not JSON: {word}")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("k", [10, 50])
def test_a_list_is_as_long_as_there_are_items_left(home, k):
    body = answer(home, "recommend", "--run", "islands knn", "--user", "a", "-k", str(k))
    ids = [item["item_id"] for item in body["items"]]
    # 14 items exist, a has 4 of them; only i05 shares anybody with a's history.
    assert len(ids) == len(set(ids)) == 14 - 4
    assert ids[0] == "i05"
    assert not set(ids) & {"i01", "i02", "i03", "i04"}
    assert ("10 items are left" in body["note"]) == (k == 50)


def test_somebody_who_shares_nothing_gets_a_list(home):
    body = answer(home, "recommend", "--run", "islands knn", "--user", "q", "-k", "3")
    assert len({item["item_id"] for item in body["items"]} - {"i06", "i07"}) == 3


def test_one_short_list_costs_nobody_theirs(home, tmp_path):
    out = tmp_path / "islands.jsonl"
    words = ("recommend", "--run", "islands knn", "--all-users", "-k", "11", "--out", str(out))
    said = run(home, *words)
    rows = map(json.loads, out.read_text().splitlines())
    lengths = {row["user"]: len(row["items"]) for row in rows}
    assert lengths == {user: 11 if user == "q" else 10 for user in ISLANDS}
    assert "8 of them are shorter than asked" in " ".join(said.split())


def test_ids_are_the_files_own(home):
    body = answer(home, "recommend", "--run", "numbers knn", "--user", "502", "-k", "2")
    assert {item["item_id"] for item in body["items"]} == {"7", "2"}
    table = run(home, "recommend", "--run", "numbers knn", "--user", "502", "-k", "2")
    assert "item 7" in table
    assert "item 2" in table
    words = ("explain", "--run", "numbers knn", "--user", "502", "--item", "7", "--error", "0")
    reasons = run(home, *words)
    named = {word for word in ("item 3", "item 8", "item 1", "item 5") if word in reasons}
    assert len(named) == 4
    assert not any(f"item {n}" in reasons for n in (2, 4, 6))


def test_somebody_new_is_described_by_ids_where_there_are_no_titles(home):
    words = ("recommend", "--run", "numbers knn", "--history", "3", "--history", "8", "-k", "2")
    body = answer(home, *words)
    assert body["history"] == ["item 3", "item 8"]
    assert len(body["items"]) == 2


def test_a_metric_that_does_not_exist_is_none_with_a_reason(home, tmp_path):
    """Everybody has touched all four items: the only candidate is the withheld one."""
    out = tmp_path / "export.json"
    run(home, "runs", "export", "--study", "small", "--out", str(out))
    runs = {row["spec"]["name"]: row for row in strict(out.read_text())["runs"]}
    figures = {
        row["name"]: row for row in runs["all4 knn"]["measurements"] if row["slice"] == "all"
    }
    assert figures["ndcg@10"]["value"] == 1.0
    assert figures["auc"]["value"] is None
    assert figures["auc"]["reason"]
    assert {run["state"] for run in runs.values()} == {"finished"}
    checks = next(d["body"] for d in runs["all4 knn"]["documents"] if d["name"] == "checks")
    (independent,) = [check for check in checks if check["check"] == "independent-metric"]
    assert independent["passed"] is None
    assert "nothing to order" in independent["detail"]


def test_one_completionist_is_left_out_of_the_auc_and_counted(home, tmp_path):
    out = tmp_path / "export.json"
    run(home, "runs", "export", "--study", "small", "--out", str(out))
    rows = {row["spec"]["name"]: row for row in strict(out.read_text())["runs"]}["one knn"]
    figures = {row["name"]: row for row in rows["measurements"] if row["slice"] == "all"}
    assert figures["ndcg@10"]["n"] == 9
    assert figures["auc"]["n"] == 8


def test_no_report_says_nan(home, tmp_path):
    out = tmp_path / "small.html"
    run(home, "report", "--study", "small", "--out", str(out))
    assert "nan" not in out.read_text().casefold().replace("finance", "").split()
