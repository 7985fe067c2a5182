"""Run and study specs: their bounds, their hash and their files."""

from __future__ import annotations

import dataclasses
import json
import re
import typing
from pathlib import Path

import pytest

from llmrec_core.contract.families import family_title
from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.contract.spec import (
    DataSpec,
    RecommenderSpec,
    RunSpec,
    TrainingSpec,
    run_from_dict,
    stored_run,
)
from llmrec_core.contract.spec_files import load_run, load_study
from llmrec_core.errors import UsageError
from llmrec_core.installation import ASSETS

PARTS = {
    "data": DataSpec,
    "protocol": ProtocolSpec,
    "recommender": RecommenderSpec,
    "training": TrainingSpec,
}


def test_the_hash_of_a_spec_is_what_earlier_versions_made_it():
    assert RunSpec().hash == "7899ffa84c6a22ba"
    whole = run_from_dict(
        {
            "recommender": {"family": "ease", "options": {"l2": 500, "history_items": 0}},
            "training": {"learning_rate": 1, "max_minutes": 5},
            "minutes": 3,
        }
    )
    assert whole.hash == "664448dc774a6de8"


def test_the_specs_of_the_recorded_study_keep_their_hashes():
    recorded = json.loads((ASSETS / "sample" / "study.json").read_text())["runs"]
    assert len(recorded) >= 16
    for run in recorded:
        spec = run_from_dict(run["spec"])
        assert spec == stored_run(run["spec"])
        if not spec.weights_from:  # else the hashes of the rows it can take weights from join it
            assert spec.hash == run["spec_hash"]


def test_a_record_is_read_after_bounds_have_moved_and_without_its_package():
    table = {"protocol": {"users": -5}, "recommender": {"family": "gone", "options": {"x": 1}}}
    spec = stored_run(table | {"a_field_of_another_version": 1})
    assert (spec.protocol.users, spec.protocol.k, spec.recommender.family) == (-5, 10, "gone")
    assert family_title("gone") == "gone"
    with pytest.raises(UsageError):
        run_from_dict(table)


@pytest.mark.parametrize("path", sorted((ASSETS / "studies").glob("*.toml")), ids=lambda p: p.stem)
def test_every_study_that_comes_with_the_product_is_read(path):
    study = load_study(path)
    assert study.runs and all(run_from_dict(run.to_dict()) == run for run in study.runs)


NUMBERS = [
    (part, field.name)
    for part, kind in PARTS.items()
    for field in dataclasses.fields(kind)
    if typing.get_type_hints(kind)[field.name] in (int, float)
]


@pytest.mark.threat("odd-numbers")
@pytest.mark.parametrize(("part", "name"), NUMBERS, ids=".".join)
def test_every_number_has_bounds(part, name):
    for value in (-1, 10**12, float("nan"), float("inf"), True, "3", None):
        with pytest.raises(UsageError, match=rf"{part}\.{name} is {value!r}; expected"):
            run_from_dict({part: {name: value}})


@pytest.mark.threat("odd-numbers")
@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"training": {"accumulate": 0}}, "training.accumulate is 0; expected at least 1"),
        ({"training": {"steps": 2.0}}, "training.steps is 2.0; expected a whole number"),
        ({"training": {"validate_every": 0}}, "validate_every is 0; expected at least 1"),
        ({"training": {"warmup_steps": 200}}, "warmup_steps 200 contradicts training.steps 200"),
        ({"protocol": {"users": -5}}, "protocol.users is -5; expected at least 0"),
        ({"protocol": {"candidates": "1-uniform"}}, "protocol.candidates is '1-uniform'"),
        ({"protocol": {"candidates": "1000000000-popular"}}, "2 to 10,000,000"),
        ({"protocol": {"candidates": "²-uniform"}}, "protocol.candidates is '²-uniform'"),
        ({"protocol": {"split": "lo"}}, "Did you mean 'loo'"),
        (
            {"protocol": {"split": "time", "candidates": "given-bm25"}},
            "contradicts protocol.split 'time'",
        ),
        ({"recommender": {"family": "sasrek"}}, "Did you mean 'sasrec'"),
        ({"recommender": {"famly": "ease"}}, "unknown field 'recommender.famly'.*'family'"),
        ({"recommender": {"options": {"l2": "big"}}}, "options.l2 is 'big'; expected a number"),
        (
            {"recommender": {"family": "ease", "options": {"l": 1}}},
            r"options has 'l', which 'ease' does not have; expected one of l2, .*'l2'",
        ),
        (
            {"recommender": {"family": "ease", "options": {"l2": 0}}},
            r"options\.l2 is 0; expected a number from 0\.000001 to 1,000,000,000",
        ),
        (
            {"recommender": {"family": "item-knn", "options": {"window": 2.5}}},
            r"options\.window is 2\.5; expected a whole number from 0 to 100,000",
        ),
        ({"precision": "int8"}, "precision is 'int8', which 'popularity' does not look at"),
        ({"runtime": "onnx"}, "runtime is 'onnx', which 'popularity' does not look at"),
        ({"weights_from": "a"}, "weights_from is 'a', which 'popularity' does not look at"),
        *(
            (
                {
                    "recommender": {"family": "sasrec", "adaptation": "full"},
                    "training": {name: value},
                },
                f"training.{name} is {value!r}, which 'sasrec' does not look at",
            )
            for name, value in (
                ("objective", "bce"),
                ("positives", 4),
                ("negatives", 3),
                ("negative_sampling", "popular"),
                ("activation_checkpointing", True),
            )
        ),
        ({"recommender": {"adaptation": "full"}}, "'popularity' has no weights to train"),
        (
            {"recommender": {"family": "cascade", "retriever": "item-knn", "rerank_k": 5}},
            "reads with another run's weights",
        ),
        (
            {"recommender": {"family": "text-sasrec"}},
            "needs recommender.backbone, e.g. 'minilm-l6'",
        ),
        ({"precision": "fp8"}, "precision is 'fp8'"),
        ({"device": "gpu"}, "device is 'gpu'"),
        ({"name": 3}, "name is 3; expected text"),
        ({"seed": 2**31}, "seed is 2147483648; expected at most 2,147,483,647"),
        ({"training": [1]}, r"training is \[1\]; expected a table"),
    ],
)
def test_what_makes_no_sense_is_refused(table, sentence):
    with pytest.raises(UsageError, match=sentence):
        run_from_dict(table)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name = ", "cannot be read as TOML"),
        ('name = "s"', "at least one"),
        ("[run]\nname = 'a'", "s.toml: run is .*; expected a list"),
        ("defaults = 3\n[[run]]\nname = 'a'", "s.toml: defaults is 3; expected a table"),
        ("seed = 3\n[[run]]\nname = 'a'", "s.toml: unknown field 'seed'"),
        ("[[run]]\nname = 'a'\n[[run]]\nname = 'a'", "'a' is empty or repeated"),
        ("[[run]]\nseed = 1", "'' is empty or repeated"),
        ("[defaults]\nseed = -1\n[[run]]\nname = 'a'", "s.toml: run 'a': seed is -1; expected at"),
    ],
)
def test_a_wrong_study_file_is_refused_with_its_name(text, sentence, tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=sentence):
        load_study(path)


def test_the_defaults_of_a_study_stand_under_every_run(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(
        "[defaults]\nseed = 3\nprotocol = { users = 5, k = 4 }\n"
        "[[run]]\nname = 'a'\n[[run]]\nname = 'b'\nprotocol = { k = 2 }\n"
    )
    first, second = load_study(path).runs
    assert (first.seed, first.protocol.users, first.protocol.k) == (3, 5, 4)
    assert (second.seed, second.protocol.users, second.protocol.k) == (3, 5, 2)


def test_a_missing_file_is_a_sentence():
    with pytest.raises(UsageError, match="there is no file"):
        load_run(Path("nowhere.toml"))


def test_a_row_with_seeds_becomes_a_run_for_each(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(
        """in_file_order = true
[defaults]
seed = 7
[[run]]
name = "SASRec"
seeds = [0, 1, 2]
recommender = { family = "sasrec", adaptation = "full" }
[[run]]
name = "Popularity"
"""
    )
    study = load_study(path)
    assert [(run.name, run.seed) for run in study.runs] == [
        ("SASRec, seed 0", 0),
        ("SASRec, seed 1", 1),
        ("SASRec, seed 2", 2),
        ("Popularity", 7),
    ]
    assert study.in_file_order


@pytest.mark.parametrize(
    ("seeds", "sentence"),
    [
        ("[1, 1]", "seeds is 1, 1; expected each seed once"),
        ("[]", "seeds is []; expected at least 1 of them"),
        ("[-1]", "seeds.0 is -1; expected at least 0"),
        ("[0.5]", "seeds.0 is 0.5; expected a whole number"),
    ],
)
def test_wrong_seeds_are_refused_with_the_row(seeds, sentence, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(f'[[run]]\nname = "S"\nseeds = {seeds}\n')
    with pytest.raises(UsageError, match=re.escape(f"study.toml: run 'S': {sentence}")):
        load_study(path)


def test_a_cut_in_time_is_measured_beside_leave_one_out_only():
    run_from_dict({"protocol": {"also_time": True}})
    with pytest.raises(UsageError, match=r"also_time contradicts protocol.split 'time'"):
        run_from_dict({"protocol": {"split": "time", "also_time": True}})
    reader = {"family": "cross-encoder", "backbone": "minilm-l6", "adaptation": "full"}
    with pytest.raises(
        UsageError, match="also_time fits the run anew, but it is made from the run"
    ):
        run_from_dict({"recommender": reader, "weights_from": "a", "protocol": {"also_time": True}})
