"""Accumulated gradients are those of one large batch: every family, objective and weighting.

The micro-batches are uneven on purpose: histories of different lengths, groups with fewer
negatives than others. The reference is one batch that holds the rows of all of them.
"""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import TrainingSpec, run_from_dict
from llmrec_core.data.candidates import PADDING
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.recommenders import sasrec, student
from llmrec_core.recommenders.registry import build
from llmrec_core.training.loop import train
from llmrec_core.training.objectives import OBJECTIVES
from llmrec_core.training.sampling import GroupBatch
from llmrec_core.training.windows import Windows, WindowSampler
from tests.engine import scorer_model
from tests.tiny import tiny_backbone

LARGEST_DIFFERENCE = 1e-5
"""Of a gradient, as a share of its length."""
MODELS = {
    "cross-encoder, shared": ("bert", "shared", "attention"),
    "cross-encoder, per_item": ("bert", "per_item", "linear"),
    "cross-encoder, full": ("bert", "full", "pooler"),
    "decoder": ("llama", "shared", "yes-no"),
}


def step_gradient(model, loss_at, weight_at, accumulate, folder):
    """The gradient that the loop takes its first step with: SGD of rate 1, so −Δweights."""
    before = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
    spec = TrainingSpec(
        steps=1, warmup_steps=0, accumulate=accumulate, optimizer="sgd", learning_rate=1.0,
        weight_decay=0.0, clip_norm=0.0, schedule="constant",
    )  # fmt: skip
    context = RunContext(folder)
    train(model, loss_at, spec, context, seed=0, weight_at=weight_at)
    after = dict(model.named_parameters())
    gradient = torch.cat([(old - after[name].detach()).flatten() for name, old in before.items()])
    with torch.no_grad():
        for name, old in before.items():
            after[name].copy_(old)
    return gradient, context.curves[0][2]


def difference(model, parts, whole, loss, weight, folder):
    """How far the loop's gradient over `parts` is from that of `whole`, and so of their losses."""
    one, loss_of_one = step_gradient(
        model, lambda n: loss(whole), lambda n: weight(whole), 1, folder
    )
    many, loss_of_many = step_gradient(
        model, lambda n: loss(parts[n]), lambda n: weight(parts[n]), len(parts), folder
    )
    assert float(one.norm()) > 0
    assert loss_of_many == pytest.approx(loss_of_one, rel=1e-5)
    gap = float((many - one).norm() / one.norm())
    print(f"difference of the gradient: {gap:.1e} of its length")
    return gap


def uneven_groups(rng, positives):
    """Micro-batches of 1, 3 and 2 groups; some have one negative where others have four."""
    batches = []
    for size in (1, 3, 2):
        items = np.stack([rng.choice(40, positives + 4, replace=False) for _ in range(size)])
        items[0, positives + 1 :] = PADDING
        histories = [rng.choice(40, rng.integers(0, 7), replace=False) for _ in range(size)]
        batches.append(GroupBatch(histories, items.astype(np.int64)))
    together = GroupBatch(
        [history for batch in batches for history in batch.histories],
        np.concatenate([batch.items for batch in batches]),
    )
    return batches, together


@pytest.mark.parametrize("positives", [1, 2])
@pytest.mark.parametrize("objective", list(OBJECTIVES))
@pytest.mark.parametrize("name", list(MODELS))
def test_language_models(name, objective, positives, tmp_path):
    kind, attention, head = MODELS[name]
    model = scorer_model(kind, head=head, history_attention=attention)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    chosen = OBJECTIVES[objective]

    def loss(batch):
        prompts = [model.layout.history(history.tolist()) for history in batch.histories]
        scores = model(prompts, np.maximum(batch.items, 0)).float()
        return chosen.loss(scores, positives, torch.from_numpy(batch.real))

    parts, whole = uneven_groups(np.random.default_rng(1), positives)
    gap = difference(
        model, parts, whole, loss, lambda batch: chosen.weight(batch.real, positives), tmp_path
    )
    assert gap <= LARGEST_DIFFERENCE


@pytest.fixture(scope="module")
def uneven():
    """Half of the people have two items in training, half have thirty."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", float(place))
        for user in range(24)
        for place, item in enumerate(rng.choice(40, 4 if user % 2 else 32, replace=False))
    ]
    items = pd.DataFrame({"item_id": [f"i{item}" for item in range(40)]})
    items["title"] = [f"white field number{item}" for item in range(40)]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return split(build_dataset("uneven", table, items), "loo")


def teacher_of(parts, settings, place):
    """The folder of a SASRec."""
    chosen = {
        "family": "sasrec", "adaptation": "full", "options": {"width": 8, "layers": 1, "heads": 1},
    }  # fmt: skip
    spec = run_from_dict({"recommender": chosen, "training": {"steps": 1, "warmup_steps": 0}})
    spec = dataclasses.replace(spec, protocol=ProtocolSpec(candidates="10-uniform", users=0))
    made = build(spec, parts.dataset, settings)
    made.fit(parts, RunContext(place / "teacher"))
    made.save(place / "teacher" / "model")
    return place / "teacher" / "model"


@pytest.mark.parametrize(
    "family, weighting",
    [
        ("sasrec", "all alike"),
        ("sasrec", "inverse propensity"),
        ("text-sasrec", "all alike"),
        ("text-sasrec", "inverse propensity"),
        ("distilled-sasrec", "all alike"),
    ],
)
@pytest.mark.parametrize("accumulate, histories", [(6, 1), (4, 8), (3, 5)])
def test_sequence_models(
    family, weighting, accumulate, histories, uneven, settings, tmp_path, monkeypatch
):
    """The losses that `fit` gives to the loop, against one batch of all their windows."""
    options = {"width": 16, "layers": 1, "heads": 1}
    if weighting == "inverse propensity":
        options["ips"] = 1.0
    chosen = {"family": family, "adaptation": "full", "history_items": 25, "options": options}
    if family == "text-sasrec":
        chosen["backbone"] = str(tiny_backbone(tmp_path / "bert"))
    training = {
        "steps": 1, "warmup_steps": 0, "batch_histories": histories, "accumulate": accumulate,
    }  # fmt: skip
    teacher = teacher_of(uneven, settings, tmp_path) if family == "distilled-sasrec" else None
    source = {"weights_from": "teacher"} if teacher else {}
    spec = run_from_dict({"recommender": chosen, "training": training, **source})
    spec = dataclasses.replace(spec, protocol=ProtocolSpec(candidates="10-uniform", users=0))
    recommender = build(spec, uneven.dataset, settings, parent=teacher)
    drawn, losses = {}, []
    room, name = (student, "LessonLoss") if teacher else (sasrec, "TargetLoss")
    draw, loss_of = WindowSampler.draw, getattr(room, name)

    def watched_draw(sampler, number, size):
        drawn[number] = draw(sampler, number, size)
        return drawn[number]

    def watched_loss(*arguments):
        losses.append(loss_of(*arguments))
        return losses[-1]

    monkeypatch.setattr(WindowSampler, "draw", watched_draw)
    monkeypatch.setattr(room, name, watched_loss)
    recommender.fit(uneven, RunContext(tmp_path / "run"))
    parts = [drawn[number] for number in range(accumulate)]
    sizes = {part.real.sum() for part in parts}
    assert len(sizes) > 1, "the micro-batches must differ for this test to say anything"
    columns = [(part.inputs, part.targets, part.real) for part in parts]
    inputs, targets, real = (np.concatenate(column) for column in zip(*columns, strict=True))
    people = np.concatenate([part.people for part in parts])
    at_end = np.concatenate([part.at_end for part in parts])
    whole = Windows(inputs, targets, real, None, people, at_end)
    (loss,) = losses
    gap = difference(recommender.model, parts, whole, loss.mean, loss.weight, tmp_path / "gap")
    assert gap <= LARGEST_DIFFERENCE
