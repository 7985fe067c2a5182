"""What both families of coded items share: a training that goes on, and gradients of any cut."""

import dataclasses

import pytest
import torch

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data.splits import split
from llmrec_core.errors import RunError
from llmrec_core.recommenders import parallel_codes, sequence_recommender, tiger
from llmrec_core.recommenders.registry import build
from tests.recommenders.coded_items import ITEMS, TITLES, TRAINING, Listening, ring_of
from tests.tiny import tiny_backbone

torch.set_num_threads(1)
LARGEST_DIFFERENCE = 1e-5
"""Of a gradient, as a share of its length."""
SHAPE = {"width": 16, "layers": 1, "heads": 2, "in_epochs": 1}
OPTIONS = {"parallel-codes": SHAPE | {"codes": 4}, "tiger": SHAPE | {"levels": 2}}
QUANTISERS = {
    "parallel-codes": (parallel_codes, "fit_quantiser"),
    "tiger": (tiger, "fit_residuals"),
}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return str(tiny_backbone(tmp_path_factory.mktemp("coded") / "bert"))


@pytest.fixture(scope="module")
def ring():
    return ring_of(TITLES)


def run_of(family, backbone, history_items, training):
    chosen = {
        "family": family, "adaptation": "full", "backbone": backbone,
        "history_items": history_items, "options": OPTIONS[family],
    }  # fmt: skip
    return run_from_dict(
        {
            "protocol": {"candidates": "full", "users": 0},
            "recommender": chosen,
            "training": TRAINING | training,
        }
    )


@pytest.mark.parametrize("family", OPTIONS)
def test_a_training_that_goes_on_keeps_its_codes_and_ends_as_one_that_was_not_stopped(
    family, ring, backbone, settings, tmp_path, monkeypatch
):
    parts = split(ring, "loo")
    spec = run_of(family, backbone, 3, {"steps": 16, "dropout": 0.3})
    whole, stopped, resumed = (build(spec, ring, settings) for _ in range(3))
    whole.fit(parts, RunContext(tmp_path / "whole"))
    with pytest.raises(RunError, match="resume to go on"):
        stopped.fit(parts, Listening(tmp_path / "stopped", after=7))

    def refuse(*args):
        raise AssertionError("the codes were made again")

    monkeypatch.setattr(*QUANTISERS[family], refuse)
    resumed.fit(parts, RunContext(tmp_path / "stopped"))
    for name, weights in whole.model.state_dict().items():
        assert weights.equal(resumed.model.state_dict()[name]), name


@pytest.mark.parametrize("family", OPTIONS)
def test_accumulated_gradients_are_those_of_one_batch(
    family, ring, backbone, settings, tmp_path, monkeypatch
):
    """Twelve uneven histories as one batch, as twelve of one and as three of four: one step.

    Histories are read whole: of a longer one a window is drawn, which another cut draws anew.
    """
    few = dataclasses.replace(split(ring, "loo"), train=split(ring, "loo").train[:12])
    assert len({len(items) for items in few.train}) > 1
    train, gradients = sequence_recommender.train, []

    def weights_of(model):
        return torch.cat([weight.detach().flatten() for weight in model.parameters()])

    def watched(model, *arguments, **named):
        before = weights_of(model)
        result = train(model, *arguments, **named)
        gradients.append(before - weights_of(model))
        return result

    monkeypatch.setattr(sequence_recommender, "train", watched)
    for histories, accumulate in ((12, 1), (1, 12), (4, 3)):
        training = {
            "steps": 1, "warmup_steps": 0, "batch_histories": histories, "accumulate": accumulate,
            "optimizer": "sgd", "learning_rate": 1.0, "weight_decay": 0.0, "clip_norm": 0.0,
        }  # fmt: skip
        spec = run_of(family, backbone, ITEMS, training)
        build(spec, ring, settings).fit(few, RunContext(tmp_path / str(accumulate)))
    first, *others = gradients
    for other in others:
        gap = float((first - other).norm() / first.norm())
        print(f"difference of the gradient: {gap:.1e} of its length")
        assert gap <= LARGEST_DIFFERENCE
