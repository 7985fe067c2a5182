"""A run that is stopped and resumed is the run that was not; a damaged checkpoint costs its own steps only."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import TrainingSpec
from llmrec_core.errors import CheckpointError, RunError
from llmrec_core.models.scorer_model import set_trainable
from llmrec_core.training import checkpoints
from llmrec_core.training.loop import learning_rate_at, train
from llmrec_core.training.objectives import listwise
from tests.engine import ITEMS, scorer_model

SPEC = TrainingSpec(
    steps=9, warmup_steps=2, learning_rate=1e-3, validate_every=3, dropout=0.1, batch_histories=3
)


def one(number):
    """Every micro-step brings the same weight."""
    return 1.0


class Stopping(RunContext):
    """Asks to stop after a number of steps."""

    def __init__(self, folder, after=math.inf):
        super().__init__(folder)
        self.left, self.lines = after, []

    def log(self, line):
        self.lines.append(line)

    def should_stop(self):
        self.left -= 1
        return self.left <= 0


def trained(folder, *, after=math.inf, kind="bert", adaptation="full", spec=SPEC, damage=None):
    """Weights and losses of a training that may be stopped after some steps and is then resumed."""
    made = scorer_model(kind)
    set_trainable(made, adaptation, rank=2)
    made.backbone.stack.set_dropout(spec.dropout)

    def loss_at(number):
        rng = np.random.default_rng((7, number))
        histories = [
            made.layout.history(rng.choice(ITEMS, rng.integers(0, 6), replace=False).tolist())
            for _ in range(spec.batch_histories)
        ]
        return listwise(made(histories, rng.integers(0, ITEMS, (spec.batch_histories, 4))))

    def validate():
        with torch.no_grad():
            return -float(listwise(made([made.layout.history([1, 2])], np.arange(5)[None])))

    if after < spec.steps:
        with pytest.raises(RunError, match="resume to go on") as stopped:
            train(
                made,
                loss_at,
                spec,
                Stopping(folder, after),
                seed=3,
                weight_at=one,
                validate=validate,
            )
        assert stopped.value.kind == "cancelled"
        if damage:
            damage(folder / "checkpoints")
        return trained(folder, kind=kind, adaptation=adaptation, spec=spec)
    context = Stopping(folder)
    result = train(made, loss_at, spec, context, seed=3, weight_at=one, validate=validate)
    return (
        {name: p.detach().clone() for name, p in made.named_parameters() if p.requires_grad},
        result,
        context,
    )


@pytest.mark.threat("bit-identical-resume")
@pytest.mark.parametrize(
    "kind, adaptation",
    [("bert", "full"), ("llama", "lora"), ("gpt_neox", "full"), ("bert", "head")],
)
def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path, kind, adaptation):
    stop = int(np.random.default_rng(len(kind) + len(adaptation)).integers(1, SPEC.steps))
    straight, whole, _ = trained(tmp_path / "straight", kind=kind, adaptation=adaptation)
    resumed, parts, _ = trained(tmp_path / "resumed", after=stop, kind=kind, adaptation=adaptation)
    assert parts.steps == whole.steps == SPEC.steps
    assert parts.first_loss == whole.first_loss and parts.last_loss == whole.last_loss
    for name, weights in straight.items():
        assert torch.equal(weights, resumed[name]), f"{name} differs after a stop at step {stop}"


@pytest.mark.threat("damaged-checkpoint")
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path):
    spec = dataclasses.replace(SPEC, checkpoint_minutes=1e-9)  # a checkpoint after every step

    def flip(root):
        folders = sorted(root.glob("step-*"), key=lambda p: int(p.name.split("-")[1]))
        assert len(folders) == 2, "the last two are kept"
        body = bytearray((folders[-1] / "weights.safetensors").read_bytes())
        body[-5] ^= 1
        (folders[-1] / "weights.safetensors").write_bytes(body)
        assert checkpoints.latest(root) == folders[0]
        with pytest.raises(CheckpointError, match="differs from its manifest"):
            checkpoints.read_folder(folders[-1])

    straight, _, _ = trained(tmp_path / "straight", spec=spec)
    resumed, _, context = trained(tmp_path / "resumed", after=5, spec=spec, damage=flip)
    assert any("resumed from step-4" in line for line in context.lines)
    said = context.documents["damaged_checkpoints"]["sentence"]  # its page says so
    assert said.startswith("1 damaged checkpoint(s) passed over, training goes on from step-4: ")
    assert "weights.safetensors is missing or differs" in said
    assert all(torch.equal(weights, resumed[name]) for name, weights in straight.items())


@pytest.mark.threat("damaged-checkpoint")
def test_a_checkpoint_without_its_manifest_is_incomplete(tmp_path):
    checkpoints.write_folder(tmp_path / "step-1", {"weights": {"a": torch.ones(2)}}, {"step": 1})
    (tmp_path / "step-1" / "manifest.json").unlink()
    assert checkpoints.latest(tmp_path) is None
    with pytest.raises(CheckpointError, match="incomplete"):
        checkpoints.read_folder(tmp_path / "step-1")


@pytest.mark.threat("damaged-checkpoint")
@pytest.mark.parametrize("manifest", ["{}", "[]", '{"state.json": "0"}'])
def test_a_manifest_that_names_too_little_vouches_for_nothing(tmp_path, manifest):
    folder = tmp_path / "step-1"
    checkpoints.write_folder(folder, {"weights": {"a": torch.ones(2)}}, {"step": 1})
    (folder / "manifest.json").write_text(manifest)
    with pytest.raises(CheckpointError, match=r"does not name every file"):
        checkpoints.read_folder(folder)
    assert checkpoints.latest(tmp_path) is None


@pytest.mark.threat("damaged-checkpoint")
def test_a_file_that_was_added_to_a_checkpoint_is_noticed(tmp_path):
    folder = tmp_path / "step-1"
    checkpoints.write_folder(folder, {"weights": {"a": torch.ones(2)}}, {"step": 1})
    (folder / "more.safetensors").write_bytes((folder / "weights.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match=r"does not name every file"):
        checkpoints.read_folder(folder)


def test_other_weights_are_refused(tmp_path):
    trained(tmp_path, spec=dataclasses.replace(SPEC, checkpoint_minutes=1e-9))
    with pytest.raises(CheckpointError, match="other weights"):
        trained(tmp_path, adaptation="head")


def test_the_weights_with_the_best_validation_are_kept(tmp_path):
    made = scorer_model("bert")
    set_trainable(made, "head")
    values, seen = iter([0.5, 0.9, 0.1]), []

    def validate():
        seen.append(made.head.out.weight.detach().clone())
        return next(values)

    train(
        made,
        lambda n: made.head.out.weight.sum(),
        SPEC,
        RunContext(tmp_path),
        seed=0,
        weight_at=one,
        validate=validate,
    )
    assert torch.equal(made.head.out.weight, seen[1])


@pytest.mark.parametrize("schedule", ["linear", "cosine", "exponential", "constant"])
def test_the_learning_rate_warms_up_and_ends_where_it_should(schedule):
    spec = TrainingSpec(steps=100, warmup_steps=10, learning_rate=1.0, schedule=schedule)
    rates = [learning_rate_at(spec, step) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert all(a >= b for a, b in itertools.pairwise(rates[9:]))
    # 89 of 90 steps after the warm-up are done at the last one
    assert rates[-1] == pytest.approx(
        {
            "linear": 1 / 90,
            "cosine": 0.5 * (1 + math.cos(math.pi * 89 / 90)),
            "exponential": 0.05 ** (89 / 90),
            "constant": 1.0,
        }[schedule]
    )
