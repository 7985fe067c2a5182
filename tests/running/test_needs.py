"""What a run will need is estimated before it starts, and what cannot fit is refused."""

from __future__ import annotations

import dataclasses
import time

import pytest

from llmrec_core.contract.spec import RunSpec, run_from_dict
from llmrec_core.errors import UnsupportedError
from llmrec_core.running.needs import Catalogue, Machine, machine_of, needs_of, require_fit

ML_100K = Catalogue(943, 1682, 100_000)
MACHINE = Machine(20e9, None, 70e9, 2, 24.0)


def spec(family: str, backbone: str = "", *, training: dict | None = None, **fields) -> RunSpec:
    recommender = {"family": family, "backbone": backbone, **fields}
    return run_from_dict({"name": "x", "recommender": recommender, "training": training or {}})


def cross_encoder(depth: int, batch: int, **fields) -> RunSpec:
    training = {"batch_histories": batch, "negatives": 15}
    return spec(
        "cross-encoder", "minilm-l6", depth=depth, adaptation="full", training=training, **fields
    )


@pytest.mark.threat("too-large-a-run")
@pytest.mark.parametrize(
    ("run", "measured_mb"),
    [
        # peak resident memory of fits on ml-100k, two cores, torch 2.13 (docs/explanation/limits)
        (spec("ease"), 235),
        (spec("item-knn"), 207),
        (spec("bi-encoder", "minilm-l6"), 811),
        (
            spec("sasrec", history_items=50, adaptation="full", training={"batch_histories": 128}),
            904,
        ),
        (cross_encoder(2, 8), 1015),
        (cross_encoder(2, 32), 1595),
        (cross_encoder(2, 128), 3167),
        (cross_encoder(6, 32), 3421),
    ],
)
def test_estimate_is_near_the_measured_peak(run, measured_mb):
    estimated_mb = needs_of(run, ML_100K, MACHINE).memory_bytes / 1e6
    assert 0.5 < estimated_mb / measured_mb < 2.0


@pytest.mark.threat("too-large-a-run")
def test_batch_that_cannot_fit_is_refused_with_the_nearest_that_does():
    """A batch of 10⁶ asked for 104 GB after two minutes; now it is refused at once."""
    with pytest.raises(UnsupportedError) as caught:
        require_fit(cross_encoder(6, 1_000_000), ML_100K, MACHINE)
    sentence = str(caught.value)
    assert "of memory, a run may use 20.0 GB here (LLMREC_MEMORY_GB)" in sentence
    nearest = sentence.partition("Nearest setting that fits: ")[2]
    assert nearest == "training.batch_histories = 125 with training.accumulate = 8000"
    fitting = cross_encoder(6, 125)
    require_fit(
        dataclasses.replace(
            fitting, training=dataclasses.replace(fitting.training, accumulate=8000)
        ),
        ML_100K,
        MACHINE,
    )


@pytest.mark.threat("too-large-a-run")
@pytest.mark.parametrize(
    ("run", "catalogue", "machine", "sentence"),
    [
        (
            run_from_dict({"name": "x", "protocol": {"users": 0, "candidates": "full"}}),
            Catalogue(1_000_000, 100_000, 20_000_000),
            MACHINE,
            r"1\d{3}\.\d GB of memory.*Nearest setting that fits: protocol\.users = \d+",
        ),
        (
            cross_encoder(0, 8),
            ML_100K,
            dataclasses.replace(MACHINE, disk_bytes=1e9),
            r"GB of disk, 1\.0 GB are free.*Nearest setting that fits: recommender\.depth = 3",
        ),
        (
            dataclasses.replace(
                cross_encoder(0, 8),
                protocol=run_from_dict({"protocol": {"users": 0, "candidates": "full"}}).protocol,
            ),
            Catalogue(2_000_000, 20_000, 20_000_000),
            dataclasses.replace(MACHINE, memory_bytes=1e15),
            r"at least \d+ hours, a run may take 24.*Nearest setting that fits: protocol\.users",
        ),
        (
            cross_encoder(6, 4096),
            ML_100K,
            dataclasses.replace(MACHINE, gpu_bytes=16e9),
            r"GB of GPU memory, the GPU has 16\.0 GB.*training\.batch_histories = 128 with",
        ),
        (
            spec("ease"),
            Catalogue(1000, 100_000, 1_000_000),
            MACHINE,
            "no single smaller setting fits; choose a smaller model",
        ),
    ],
)
def test_each_shortage_has_its_sentence(run, catalogue, machine, sentence):
    began = time.perf_counter()
    with pytest.raises(UnsupportedError, match=sentence):
        require_fit(run, catalogue, machine)
    assert time.perf_counter() - began < 1.0


def test_cpu_run_needs_no_gpu_memory():
    machine = dataclasses.replace(MACHINE, gpu_bytes=1e9)
    run = dataclasses.replace(cross_encoder(6, 32), device="cpu")
    assert needs_of(run, ML_100K, machine).gpu_bytes == 0.0
    require_fit(run, ML_100K, machine)


def test_unknown_backbone_is_not_judged():
    require_fit(spec("cross-encoder", "some/model-nobody-knows"), ML_100K, MACHINE)


def test_this_machine_fits_the_default_study(settings):
    machine = machine_of(settings)
    assert machine.memory_bytes > 1e9
    assert machine.disk_bytes > 0
    require_fit(cross_encoder(2, 8), ML_100K, machine)
