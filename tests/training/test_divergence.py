"""What is not a number ends in the sentence about divergence, and the best finite weights stay."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import TrainingSpec, run_from_dict
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.errors import NotFiniteError
from llmrec_core.metrics.evaluate import evaluate
from llmrec_core.models.scorer_model import set_trainable
from llmrec_core.recommenders.registry import build
from llmrec_core.training import checkpoints
from llmrec_core.training.loop import train
from tests.engine import scorer_model
from tests.tiny import tiny_backbone, training_for

SPEC = TrainingSpec(steps=9, warmup_steps=0, learning_rate=0.5, validate_every=3)


def one(number):
    return 1.0


def head_of(model):
    return model.head.out.weight


def trained(loss_at, folder, validate=None, **changes):
    model = scorer_model("bert")
    set_trainable(model, "head")
    spec = dataclasses.replace(SPEC, **changes)
    train(
        model,
        lambda number: loss_at(model, number),
        spec,
        RunContext(folder),
        seed=0,
        weight_at=one,
        validate=validate and (lambda: validate(model)),
    )
    return model


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_loss_that_is_no_number_names_step_and_rate(tmp_path, accumulate):
    def loss_at(model, number):
        broken = number // accumulate == 4
        return head_of(model).sum() * (float("nan") if broken else 1.0)

    sentence = r"the loss is no finite number at step 5 of 9, where the learning rate was 0\.278"
    with pytest.raises(NotFiniteError, match=sentence) as failed:  # 0.5 · (1 − 4/9)
        trained(loss_at, tmp_path, accumulate=accumulate)
    assert failed.value.kind == "data" and "lower training.learning_rate (0.5)" in str(failed.value)


def test_a_gradient_that_is_no_number_is_found_before_it_reaches_a_weight(tmp_path):
    """√|x| at 0 has a value and no slope."""
    with pytest.raises(NotFiniteError, match="the gradient is no finite number at step 1 of 9"):
        trained(lambda model, n: (head_of(model) * 0).abs().sqrt().sum(), tmp_path)


def test_weights_that_left_the_numbers_on_the_last_step_are_found(tmp_path):
    """Decay alone: a step multiplies a weight by about −10⁴, so that 10 steps leave fp32's 10³⁸."""
    with pytest.raises(NotFiniteError, match="a weight is no finite number at step 10 of 10"):
        trained(
            lambda model, n: model.head.out.bias.sum() + 0 * head_of(model).sum(),
            tmp_path,
            steps=10,
            optimizer="sgd",
            learning_rate=100.0,
            weight_decay=100.0,
            schedule="constant",
        )


def test_a_validation_that_is_no_number_never_becomes_the_best(tmp_path):
    values = iter([0.5, float("nan")])
    with pytest.raises(NotFiniteError, match=r"a score of the validation .* step 6 of 9"):
        trained(lambda model, n: head_of(model).sum(), tmp_path, lambda model: next(values))


def test_the_best_finite_checkpoint_stays(tmp_path):
    """The weights break after step 7; the checkpoint of step 6, with the best weights, is whole."""

    def loss_at(model, number):
        return head_of(model).sum() * (float("inf") if number == 7 else 1.0)

    with pytest.raises(NotFiniteError, match="step 8"):
        trained(loss_at, tmp_path, lambda model: 0.25, checkpoint_minutes=1e-9)
    newest = checkpoints.latest(tmp_path / "checkpoints")
    tensors, state = checkpoints.read_folder(newest)
    assert newest.name == "step-7" and state["best"] == 0.25
    assert all(
        bool(torch.isfinite(value).all())
        for name in ("weights", "best")
        for value in tensors[name].values()
    )


@pytest.fixture(scope="module")
def parts():
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", float(place))
        for user in range(20)
        for place, item in enumerate(rng.choice(20, 8, replace=False))
    ]
    items = pd.DataFrame({"item_id": [f"i{item}" for item in range(20)]})
    items["title"] = [f"white field number{item}" for item in range(20)]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return split(build_dataset("small", table, items), "loo")


@pytest.mark.parametrize("rate", [50.0, 100.0])
@pytest.mark.parametrize("family", ["sasrec", "cross-encoder", "decoder"])
def test_every_family_that_diverges_says_so_or_ends_in_finite_scores(
    family, rate, parts, settings, tmp_path
):
    kind = {"cross-encoder": "bert", "decoder": "llama"}.get(family)
    chosen = {"family": family, "adaptation": "full", "history_items": 4}
    if kind:
        chosen["backbone"] = str(tiny_backbone(tmp_path / kind, kind))
    if family == "decoder":
        chosen["head"] = "yes-no"
    training = {
        "learning_rate": rate, "steps": 40, "warmup_steps": 0, "optimizer": "sgd",
        "clip_norm": 0.0, "schedule": "constant", "batch_histories": 4, "negatives": 3,
        "validate_every": 7, "validation_users": 5,
    }  # fmt: skip
    spec = run_from_dict({"recommender": chosen, "training": training_for(family, training)})
    spec = dataclasses.replace(spec, protocol=ProtocolSpec(candidates="10-uniform", users=0))
    recommender = build(spec, parts.dataset, settings)
    try:
        recommender.fit(parts, RunContext(tmp_path / "run"))
    except NotFiniteError as error:
        assert "training diverged" in str(error) and f"({rate:g})" in str(error)
        return
    scores = recommender.score([case.history for case in parts.test], np.zeros((20, 1), np.int64))
    assert np.isfinite(scores).all()


def test_scores_that_are_no_numbers_are_never_evaluated(parts):
    """Whatever the family: no metric is made of a NaN or an infinity."""
    for broken in (np.nan, np.inf):

        def score(histories, candidates, broken=broken):
            scores = np.zeros(candidates.shape)
            scores[0, 1] = broken
            return scores

        candidates = np.stack([np.append(case.relevant, [0, 1]) for case in parts.test])
        with pytest.raises(NotFiniteError, match="1 of 60 scores are no finite numbers"):
            evaluate(score, parts, parts.test, candidates, "loo/given")
