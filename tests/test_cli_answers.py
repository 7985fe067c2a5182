"""What is asked of a finished run on the command line: `recommend`, `explain`, `profile`, on real runs of tiny models."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.finished_home import PEOPLE, READER, RING, make_finished_home


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("answers")
    make_finished_home(folder)
    return folder


@pytest.fixture
def call(finished, monkeypatch, command_line):
    """Run a command on that home in this process; it must succeed. Returns its stdout."""
    monkeypatch.setenv("LLMREC_HOME", str(finished))
    monkeypatch.delenv("LLMREC_LEDGER", raising=False)

    def run(*words: str) -> str:
        done = command_line(*words)
        assert done.status == 0, done.err
        return done.out

    return run


def last_json(text: str) -> dict:
    return json.loads(text.splitlines()[-1])


# ── recommend ────────────────────────────────────────────────────────────────────────────────────


def test_recommend_names_the_neighbours_of_a_history(call):
    body = last_json(
        call(
            "recommend",
            "--run",
            "Item-kNN",
            "--history",
            "number4 white field",
            "-k",
            "2",
            "--json",
        )
    )
    # Everybody goes upwards on the ring: after item 4 comes 5, and then 6.
    assert [item["item_id"] for item in body["items"]] == ["i5", "i6"]
    assert body["items"][0]["score"] > body["items"][1]["score"]


def test_recommend_prints_a_table_of_titles(call):
    shown = call("recommend", "--run", "Item-kNN", "--user", "u0", "-k", "2")
    assert "Item-kNN for user u0" in shown
    assert shown.count("white field") == 2


def test_recommend_writes_everybodys_list(call, tmp_path):
    out = tmp_path / "lists.jsonl"
    shown = call("recommend", "--run", "Item-kNN", "--all-users", "--out", str(out), "-k", "2")
    lists = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert f"wrote {PEOPLE} lists" in shown
    assert {row["user"] for row in lists} == {f"u{user}" for user in range(PEOPLE)}
    for row in lists:
        seen = {f"i{(int(row['user'][1:]) + step) % RING}" for step in range(6)}
        assert len(row["items"]) == 2
        assert not seen & {item["item_id"] for item in row["items"]}


def test_recommend_obeys_a_policy(call, tmp_path):
    policy = tmp_path / "policy.toml"
    policy.write_text('block = ["i5"]\n', encoding="utf-8")
    words = ("recommend", "--run", "Item-kNN", "--history", "number4 white field", "-k", "2")
    body = last_json(call(*words, "--policy", str(policy), "--json"))
    assert "i5" not in [item["item_id"] for item in body["items"]]
    assert [act["item_id"] for act in body["acts"]] == ["i5"]


# ── explain ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("run", ["Item-kNN", READER])
def test_explain_adds_up_to_the_score_of_the_list(call, run):
    best = last_json(call("recommend", "--run", run, "--user", "u0", "-k", "1", "--json"))["items"][
        0
    ]
    body = last_json(
        call("explain", "--run", run, "--user", "u0", "--item", best["item_id"], "--json")
    )
    total = body["base"] + sum(player["value"] for player in body["players"])
    assert total == pytest.approx(best["score"], abs=1e-5)
    assert body["prediction"] == pytest.approx(best["score"], abs=1e-5)


def test_explain_prints_reasons_and_a_sentence(call):
    shown = call("explain", "--run", "Item-kNN", "--user", "u0", "--item", "i6")
    assert "Why number6 white field" in shown
    assert "number5 white field" in shown
    assert "is recommended" in " ".join(shown.split())


def test_explain_a_sample_of_users_into_parquet(call, tmp_path):
    out = tmp_path / "reasons.parquet"
    call("explain", "--run", READER, "--users", "3", "--out", str(out))
    rows = pd.read_parquet(out)
    assert rows["user_id"].nunique() == 3
    assert rows.groupby("user_id").size().eq(4).all()  # the model reads four items of a history


# ── profile ──────────────────────────────────────────────────────────────────────────────────────


def test_profile_a_run_says_what_its_request_costs(call):
    body = last_json(call("profile", "--run", READER, "--candidates", "10", "--json"))
    figures = {row["name"]: row for row in body["rows"]}
    assert figures["latency_p50_s"]["value"] <= figures["latency_p95_s"]["value"]
    assert figures["flops_per_request"]["value"] > 0
    assert figures["energy_per_request_j"]["value"] or figures["energy_per_request_j"]["reason"]


def test_profile_a_model_folder_scales_with_the_candidates(call, finished):
    def flops(candidates: int) -> float:
        words = (
            "profile",
            "--model",
            str(finished / "backbone"),
            "--candidates",
            str(candidates),
            "--json",
        )
        return {row["name"]: row["value"] for row in last_json(call(*words))["rows"]}[
            "flops_per_request"
        ]

    few, many = flops(10), flops(30)
    # A history is read once, every candidate costs the same: history + 30 c over history + 10 c.
    assert 1 < many / few < 3


def test_profile_prints_a_table(call):
    shown = call("profile", "--run", "Item-kNN", "--candidates", "10")
    assert "latency_p95_s" in shown
    assert "not measured" in shown or " J" in shown
