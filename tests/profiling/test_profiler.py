"""Profiles of tiny models: every figure of the document agrees with the others; a probe answers once per device."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from llmrec_core.errors import CheckpointError, UnsupportedError, UsageError
from llmrec_core.profiling import counts, probe
from llmrec_core.profiling.drawn_tokens import Size
from llmrec_core.profiling.layer_clock import part_flops
from llmrec_core.profiling.profiler import profile_model
from llmrec_core.settings import Settings
from tests.engine import KINDS, backbone, folder

SMALL = {
    "batches": (1, 2),
    "history_tokens": (8, 20),
    "candidates": (3, 6),
    "candidate_tokens": 4,
    "repeats": 2,
}


@pytest.fixture(scope="module", params=["bert", "qwen2"])
def document(request, tmp_path_factory):
    settings = Settings(tmp_path_factory.mktemp("home"), "", 30.0)
    return profile_model(str(folder(request.param)), settings, **SMALL)


def test_the_grid_has_a_row_per_size_with_its_samples(document):
    assert json.dumps(document, allow_nan=False)
    assert len(document["grid"]) == 8
    for row in document["grid"]:
        assert len(row["samples_s"]) == len(row["again_samples_s"]) == 2
        assert row["p50_s"] == pytest.approx(np.median(row["samples_s"]))
        assert row["cold_s"] > 0 and row["flops"] > 0
    one, two = (r for r in document["grid"] if (r["history_tokens"], r["candidates"]) == (20, 6))
    assert two["flops"] == 2 * one["flops"]


def test_layers_add_up_to_the_formula(document):
    assert sum(row["flops"] for row in document["layers"]) == pytest.approx(
        document["flops"]["formula"]
    )
    inside = [row for row in document["layers"] if row["layer"] is not None]
    assert len(inside) == 2 * 3 and all(row["seconds"] >= 0 for row in inside)


def test_the_formula_is_what_torch_counts_but_for_the_head(document):
    head = 2 * 6 * 32  # one product of width 32 for each of six candidates
    assert document["flops"]["counted"] == document["flops"]["formula"] + head


def test_the_command_and_conditions_are_there(document):
    assert (
        document["command"].startswith("python -m llmrec_core profile --model")
        and "--history-tokens 8,20" in document["command"]
    )
    assert document["conditions"]["precision"] == "fp32" and not document["cost_only"]
    assert document["roofline"]["bound"] in ("compute", "memory")


def test_each_size_of_a_grid_is_a_step(tmp_path):
    noted = []
    sizes = SMALL | {"candidates": (3,), "repeats": 1}
    profile_model(str(folder("bert")), Settings(tmp_path, "", 30.0), **sizes, progress=noted.append)
    assert [(step.done, step.total) for step in noted] == [(0, 4), (1, 4), (2, 4), (3, 4)]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_parts_are_the_whole(kind, last):
    shape = dataclasses.replace(
        counts.shape_of(backbone(kind).stack.config), layers=1 if last else 2
    )
    size = Size(1, 17, 5)
    layers = [
        part_flops(shape, size, 4, last=number == shape.layers - 1)
        for number in range(shape.layers)
    ]
    assert sum(sum(parts.values()) for parts in layers) == counts.shared_flops(shape, 17, 5, 4)


def test_a_config_alone_is_profiled_with_random_weights(settings, tmp_path):
    config = (folder("llama") / "config.json").read_text()
    (tmp_path / "config.json").write_text(config)
    for given in (tmp_path / "config.json", tmp_path):
        found = profile_model(
            str(given), settings, batches=(1,), history_tokens=(8,), candidates=(3,), repeats=1
        )
        assert found["cost_only"] and "random weights" in found["provenance"]


def test_bad_sizes_and_bad_configs_are_sentences(settings, tmp_path):
    with pytest.raises(UsageError, match="1 or more"):
        profile_model(str(folder("bert")), settings, batches=(0,))
    with pytest.raises(UnsupportedError, match="reads 128"):
        profile_model(str(folder("bert")), settings, history_tokens=(200,))
    with pytest.raises(UsageError, match="no file"):
        profile_model(str(tmp_path / "config.json"), settings)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read as JSON"):
        profile_model(str(tmp_path / "config.json"), settings)
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')
    with pytest.raises(UnsupportedError, match="'mamba'"):
        profile_model(str(tmp_path / "config.json"), settings)


def test_a_probe_measures_once_and_remembers(settings, monkeypatch):
    monkeypatch.setattr(probe, "BUDGET_S", 0.01)
    first = probe.probe("int8", "eager", settings)
    monkeypatch.setattr(probe, "measure", lambda *a: pytest.fail("measured twice"))
    assert probe.probe("int8", "eager", settings) == first
    assert first.usable and "times as fast as fp32" in first.reason


def test_what_does_not_run_is_refused_with_the_reason(settings, monkeypatch):
    monkeypatch.setattr(probe, "BUDGET_S", 0.01)
    if not torch.cuda.is_available():
        with pytest.raises(UnsupportedError, match="NVIDIA"):
            probe.require("tf32", "eager", settings)
    seconds = iter([0.001, 0.1])  # the fp32 block, then a variant a hundred times slower
    monkeypatch.setattr(probe, "_fastest", lambda *a: next(seconds))
    with pytest.raises(UnsupportedError, match="too slow to finish a study"):
        probe.require("int8", "eager", settings)


def test_slower_than_fp32_is_a_warning(settings, monkeypatch):
    seconds = iter([0.001, 0.002])
    monkeypatch.setattr(probe, "_fastest", lambda *a: next(seconds))
    found = probe.require("int8", "eager", settings)
    assert "0.50 times as fast" in found.warning


def test_questions_reach_the_profiler(settings, tmp_path):
    from llmrec_core.running.answers import answer

    sizes = {
        "batches": [1],
        "history_tokens": [8],
        "candidate_counts": [3, 5],
        "candidate_tokens": 4,
        "repeats": 1,
    }
    found = answer("profile", {"model": str(folder("bert")), "grid": True} | sizes, settings)
    p50 = [row["protocol"] for row in found["rows"] if row["name"] == "latency_p50_s"]
    assert p50 == ["request/3/batch-1/history-8-tokens", "request/5/batch-1/history-8-tokens"]
    (tmp_path / "config.json").write_text((folder("bert") / "config.json").read_text())
    asked = {"model": str(tmp_path / "config.json"), "batch": 2, "candidates": 4, "history": 5}
    alone = answer("profile", asked, settings)
    assert alone["cost_only"] and "random weights" in alone["name"]
    assert [row["batch"] for row in alone["grid"]] == [2]
    with pytest.raises(UsageError, match="measured of a backbone"):
        answer("profile", {"run": "abc", "grid": True}, settings)
