"""The program that reads what each family reaches: a figure, or a sentence that says why not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import families

ROOT = Path(__file__).parents[1]
NAMES = {"hosted": ("model", "data"), "ladder": ("model", "sentence")}
"""Parts of records that are words."""
MEASURED = [
    {"name": "ndcg@10", "protocol": "loo/full", "slice": "all", "value": 0.05, "n": 9},
    {"name": "recall@10", "protocol": "loo/full", "slice": "all", "value": 0.09, "n": 9},
]


def run_of(seed, state="finished", values=(0.05, 0.09)):
    rows = [row | {"value": value} for row, value in zip(MEASURED, values, strict=True)]
    spec = {"seed": seed, "recommender": {"family": "sasrec", "options": {}}, "training": {}}
    documents = [
        {"name": "training", "body": {"best_valid": 0.06}},
        {"name": "slices", "body": {"rare items": [1, 2]}},
    ]
    samples = [{"name": "ndcg@10", "values": [0.0], "keys": [1]}]
    curves = [{"name": "train_loss", "step": step, "value": 1.0} for step in range(40)]
    rows.append(rows[0] | {"slice": "rare items", "value": 0.01})
    return {"spec": spec, "state": state, "measurements": rows, "documents": documents,
            "samples": samples, "digest": "d", "curves": curves, "worker": "w"}  # fmt: skip


def test_the_last_line_is_one_document_and_every_gap_says_why():
    printed = subprocess.run(
        [sys.executable, "tests/benchmarks/families.py", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    results = json.loads(printed.stdout.splitlines()[-1])["results"]
    assert {"beauty", "gemma3", "distilled", "generated_unknown_items"} <= set(results)
    texts = [
        value
        for name, part in results.items()
        for key, value in (part.items() if isinstance(part, dict) else [("", part)])
        if isinstance(value, str) and key not in NAMES.get(name, ())
    ]
    assert texts and all(text.startswith("not measured: ") for text in texts)


def test_a_record_keeps_no_person_and_gives_the_mean_over_seeds(tmp_path, monkeypatch):
    monkeypatch.setattr(families, "RECORDS", tmp_path)
    assert families.beauty_sasrec() == families.NO_ROW
    exported = {"runs": [run_of(0), run_of(1, values=(0.06, 0.10)), run_of(2, state="failed")]}
    kept = families.without_people(exported)
    assert "rare items" not in json.dumps(kept)
    assert [run["samples"] for run in kept["runs"]] == [[], [], []]
    assert [point["step"] for point in kept["runs"][0]["curves"]] == [0, 20]
    (tmp_path / "beauty-sasrec.json").write_text(json.dumps(kept), encoding="utf-8")
    answer = families.beauty_sasrec()
    assert answer["ndcg10"] == pytest.approx((0.05 + 0.06) / 2)
    assert answer["recall10"] == pytest.approx((0.09 + 0.10) / 2)
    assert [seed["seed"] for seed in answer["seeds"]] == [0, 1]
    assert answer["people"] == 9 and answer["times_the_test_was_scored"] == 2


def test_a_paired_difference_is_that_of_the_people_both_rows_asked():
    def row(name, values):
        kept = {"name": "ndcg@10", "protocol": "loo/full", "values": values, "keys": [4, 7, 9]}
        return {"name": name, "samples": [kept]}

    study = {"runs": [row("words", [0.0, 0.5, 0.5]), row("both", [0.5, 0.5, 1.0])]}
    wanted = {"all_items": ("both", "words", "loo/full")}
    kept = families.differences(study, wanted)["all_items"]
    assert kept["mean"] == pytest.approx((0.5 + 0.0 + 0.5) / 3)
    assert kept["low"] < kept["mean"] < kept["high"]
    assert (kept["of"], kept["from"], kept["n"]) == ("both", "words", 3)


def test_two_towers_are_read_from_their_record(tmp_path, monkeypatch):
    monkeypatch.setattr(families, "RECORDS", tmp_path)
    assert families.beauty_cold()["differences"] == families.NO_ROW
    run = run_of(0) | {"name": "Two towers, seed 0"}
    run["spec"]["recommender"]["family"] = "two-towers"
    run["spec"]["protocol"] = {"split": "loo", "candidates": "full"}
    body = {"runs": [run], "differences": {"shelf": {"mean": 0.1}}}
    (tmp_path / "beauty-towers.json").write_text(json.dumps(body), encoding="utf-8")
    assert families.results()["beauty"]["two_towers"]["ndcg10"] == 0.05
    assert families.beauty_cold()["differences"]["shelf"]["mean"] == 0.1
    assert families.beauty_cold()["two_towers_shelf"] == families.NO_ROW  # no run on the shelf


def test_gemma_s_record_is_within_its_bars():
    """Scores within 1e-3 of transformers', and ten times as fast at 100 candidates."""
    body = families.gemma3()
    assert body["max_abs_diff"] <= 1e-3 and body["speedup_100"] >= 10 and body["prompts"] == 20
    assert body["conditions"]["repetitions"] and "noisy" in body["conditions"]


def test_a_record_that_is_not_stored_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(families, "RECORDS", tmp_path)
    assert set(families.gemma3().values()) == {families.NO_RECORD}
