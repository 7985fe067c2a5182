"""Two towers: trained by contrast on tiny models, served as dot products, explained and costed."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch

from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.contract.recommender import RereadsTitles, SumsItems
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.errors import CheckpointError, UnsupportedError, UsageError
from llmrec_core.profiling.counts import shape_of, whole_flops
from llmrec_core.recommenders.fusion import Fusion
from llmrec_core.recommenders.registry import build
from llmrec_core.recommenders.two_towers import TwoTowers
from llmrec_core.training.contrast import (
    ContrastBatch,
    ContrastOptions,
    ContrastSampler,
    contrast_loss,
    nearest,
)
from tests.recommenders.checkerboard import ITEMS, USERS, split_checkerboard
from tests.tiny import tiny_backbone

OPTIONS = ContrastOptions(
    window=4, decay=0.5, ahead=1, negatives=3, mined=1, popularity=0.0, correction=1.0
)


@pytest.fixture(scope="module")
def checkerboard():
    return split_checkerboard()


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return str(tiny_backbone(tmp_path_factory.mktemp("bert"), "bert"))


def spec_of(backbone, adaptation="full", steps=60, options=None, **training):
    table = {
        "name": "towers",
        "recommender": {
            "family": "two-towers", "backbone": backbone, "adaptation": adaptation,
            "history_items": 5, "options": {"popularity": 0, **(options or {})},
        },
        "training": {
            "steps": steps, "batch_histories": 8, "learning_rate": 5e-3, "warmup_steps": 0,
            "validate_every": 30, **training,
        },
    }  # fmt: skip
    spec = run_from_dict(table)
    return dataclasses.replace(spec, protocol=ProtocolSpec(candidates="11-uniform", users=0))


def cosine_of(spec):
    """The same backbone as the untrained bi-encoder."""
    plain = dataclasses.replace(
        spec.recommender, family="bi-encoder", adaptation="none", options={}
    )
    return dataclasses.replace(spec, recommender=plain)


def fitted(spec, parts, settings, folder):
    recommender = build(spec, parts.dataset, settings)
    recommender.fit(parts, RunContext(folder))
    return recommender


def requests(parts):
    """The withheld item first, then all of the other colour."""
    return [case.history for case in parts.test], np.stack(
        [np.append(case.relevant, np.arange((case.user + 1) % 2, ITEMS, 2)) for case in parts.test]
    )


@pytest.mark.parametrize("adaptation", ["head", "lora", "full"])
def test_the_loss_falls_the_withheld_item_comes_first_and_saved_equals_loaded(
    adaptation, checkerboard, backbone, settings, tmp_path
):
    context = RunContext(tmp_path / "run")
    spec = spec_of(backbone, adaptation, options={"mined": 1, "uniform": 4})
    recommender = build(spec, checkerboard.dataset, settings)
    recommender.fit(checkerboard, context)
    assert recommender.result.last_loss < recommender.result.first_loss
    histories, candidates = requests(checkerboard)
    scores = recommender.score(histories, candidates)
    assert (scores.argmax(axis=1) == 0).mean() >= 0.9
    alone = np.vstack(
        [recommender.score([h], c[None]) for h, c in zip(histories, candidates, strict=True)]
    )
    np.testing.assert_allclose(alone, scores, atol=1e-5)
    padded = recommender.score([np.zeros(0, np.int64)], np.array([[3, -1]]))
    assert np.isfinite(padded[0, 0]) and padded[0, 1] == -np.inf

    recommender.save(tmp_path / "model")
    again = TwoTowers.load(tmp_path / "model", checkerboard.dataset, settings)
    assert np.array_equal(again.score(histories, candidates), scores)
    again.reread(checkerboard.dataset, settings)  # the trained model reads the same titles
    np.testing.assert_allclose(again.score(histories, candidates), scores, atol=1e-5)
    stored = tmp_path / "model" / "two-towers.npz"
    body = bytearray(stored.read_bytes())
    body[len(body) // 2] ^= 1
    stored.write_bytes(body)
    with pytest.raises(CheckpointError, match="damaged"):
        TwoTowers.load(tmp_path / "model", checkerboard.dataset, settings)


def test_untrained_towers_order_as_the_untrained_bi_encoder(checkerboard, backbone, settings):
    spec = spec_of(backbone, options={"decay": 1.0})
    plain = fitted(cosine_of(spec), checkerboard, settings, settings.home)
    towers = build(spec, checkerboard.dataset, settings)
    histories, candidates = requests(checkerboard)
    # a sum of five vectors ÷ temperature 0.1 against their mean: 5 ÷ 0.1 = 50 times the score
    np.testing.assert_allclose(
        towers.score(histories, candidates), 50 * plain.score(histories, candidates), rtol=1e-4
    )


def test_a_stopped_training_goes_on_bit_for_bit(checkerboard, backbone, settings, tmp_path):
    spec = spec_of(backbone, steps=8, options={"mined": 1}, checkpoint_minutes=1e-6)
    whole = fitted(spec, checkerboard, settings, tmp_path / "whole")

    class StopsAfterFive(RunContext):
        def should_stop(self):
            return sum(name == "train_loss" for name, _, _ in self.curves) >= 5

    context = StopsAfterFive(tmp_path / "parts")
    with pytest.raises(Exception, match="stopped at step 5 of 8"):
        build(spec, checkerboard.dataset, settings).fit(checkerboard, context)
    resumed = fitted(spec, checkerboard, settings, tmp_path / "parts")
    assert np.array_equal(resumed.asks, whole.asks)
    assert np.array_equal(resumed.answers, whole.answers)


def test_the_last_layers_alone_are_trained(checkerboard, backbone, settings, tmp_path):
    spec = spec_of(backbone, steps=2)
    spec = dataclasses.replace(
        spec, recommender=dataclasses.replace(spec.recommender, freeze_layers=1)
    )
    recommender = fitted(spec, checkerboard, settings, tmp_path)
    names = {name for name, p in recommender._training.model.named_parameters() if p.requires_grad}
    assert any(".layer.1." in name for name in names)
    assert not any(".layer.0." in name or "embeddings" in name for name in names)


def test_costs_by_formula_and_the_price_of_the_catalogue(
    checkerboard, backbone, settings, tmp_path
):
    context = RunContext(tmp_path)
    recommender = build(spec_of(backbone, steps=1), checkerboard.dataset, settings)
    recommender.fit(checkerboard, context)
    described = recommender.describe([np.arange(4)], np.arange(2)[None])
    # 32 wide: 4 items read and 2 candidates, of 20 items, a multiply-add each
    assert described.flops_per_request == 2 * 32 * (4 + 2)
    # 7 of 20 items are more than an eighth: all are scored in one product
    assert recommender.describe([np.arange(4)], np.arange(7)[None]).flops_per_request == (
        2 * 32 * (4 + 20)
    )
    assert described.weight_bytes == 2 * 20 * 32 * 4
    figures = {row.name: row.value for row in context.measurements}
    shape = shape_of(recommender._training.backbone.stack.config)
    # colour, field and number are 3 tokens; then two maps of 32 × 32
    assert figures["catalogue_flops"] == whole_flops(shape, 20, 3) + 20 * 2 * 2 * 32 * 32
    assert figures["catalogue_requests"] == figures["catalogue_flops"] / (2 * 20 * 32)
    assert figures["catalogue_s"] > 0


def test_a_score_is_the_sum_of_its_items(checkerboard, backbone, settings, tmp_path):
    recommender = fitted(
        spec_of(backbone, steps=2, options={"decay": 0.5}), checkerboard, settings, tmp_path
    )
    assert isinstance(recommender, SumsItems) and isinstance(recommender, RereadsTitles)
    candidates = np.array([[7, 9]])
    one, other, both = (
        recommender.score([np.array(history)], candidates)[0] for history in ([4], [6], [4, 6])
    )
    np.testing.assert_allclose(both, recommender.item_decay() * one + other, rtol=1e-5)


def test_a_fusion_takes_the_towers_of_another_run(checkerboard, backbone, settings, tmp_path):
    spec = spec_of(backbone, "head", steps=20)
    towers = fitted(spec, checkerboard, settings, tmp_path / "run")
    towers.save(tmp_path / "model")
    table = {"family": "fusion", "retriever": "popularity+two-towers"}
    fusion_spec = run_from_dict({"recommender": table, "weights_from": "towers"})
    fusion = build(fusion_spec, checkerboard.dataset, settings, parent=tmp_path / "model")
    fusion.fit(checkerboard, RunContext(tmp_path / "fusion"))
    assert np.array_equal(fusion.members["two-towers"].asks, towers.asks)  # not trained again
    histories, candidates = requests(checkerboard)
    scores = fusion.score(histories, candidates)
    assert (scores.argmax(axis=1) == 0).mean() >= 0.9
    fusion.save(tmp_path / "saved")
    again = Fusion.load(tmp_path / "saved", checkerboard.dataset)
    assert np.array_equal(again.score(histories, candidates), scores)
    plain_spec = cosine_of(spec)
    plain = fitted(plain_spec, checkerboard, settings, tmp_path / "plain")
    plain.save(tmp_path / "cosine")
    table = {"family": "fusion", "retriever": "popularity+bi-encoder"}
    other = run_from_dict({"recommender": table, "weights_from": "cosine"})
    fused = build(other, checkerboard.dataset, settings, parent=tmp_path / "cosine")
    assert np.array_equal(fused.members["bi-encoder"].vectors, plain.vectors)
    alone = dataclasses.replace(fusion_spec, weights_from="")
    with pytest.raises(UsageError, match="names 'two-towers'; a fusion takes popularity"):
        build(alone, checkerboard.dataset, settings)
    with pytest.raises(UsageError, match="but 'fusion' takes no weights over"):
        other = dataclasses.replace(fusion_spec.recommender, retriever="popularity+tf-idf")
        build(dataclasses.replace(fusion_spec, recommender=other), checkerboard.dataset, settings,
              parent=tmp_path / "model")  # fmt: skip


def test_a_process_that_serves_loads_no_torch(checkerboard, backbone, settings, tmp_path):
    recommender = fitted(spec_of(backbone, "head", steps=1), checkerboard, settings, tmp_path)
    recommender.save(tmp_path / "model")
    program = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from types import SimpleNamespace\n"
        "from llmrec_core.recommenders.two_towers import TwoTowers\n"
        f"dataset = SimpleNamespace(n_items={ITEMS}, name='x')\n"
        f"towers = TwoTowers.load(Path({str(tmp_path / 'model')!r}), dataset)\n"
        f"towers.score([np.arange(3)], np.arange({ITEMS})[None])\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_cannot_be_trained_is_a_sentence(checkerboard, backbone, settings, tmp_path):
    with pytest.raises(UsageError, match="choose 'full', 'lora' or 'head', or the family 'bi-enc"):
        build(spec_of(backbone, "none"), checkerboard.dataset, settings)
    with pytest.raises(UsageError, match=r"correction is 2; expected a number from 0 to 1"):
        spec_of(backbone, options={"correction": 2})
    table = checkerboard.dataset.interactions.assign(
        user_id=lambda t: t["user"].astype(str), item_id=lambda t: t["item"].astype(str)
    )
    nameless = split(build_dataset("nameless", table[["user_id", "item_id", "timestamp"]]), "loo")
    with pytest.raises(UnsupportedError, match="Two towers reads item titles, and none of the 20"):
        fitted(spec_of(backbone), nameless, settings, tmp_path)


def test_a_batch_holds_what_its_people_read_and_says_how_likely_that_was(checkerboard):
    sampler = ContrastSampler(checkerboard, OPTIONS, seed=0)
    batch = sampler.draw(3, 6)
    again = ContrastSampler(checkerboard, OPTIONS, seed=0).draw(3, 6)
    assert all(
        np.array_equal(getattr(batch, field.name), getattr(again, field.name))
        for field in dataclasses.fields(batch)
    )
    assert (np.diff(batch.pool) > 0).all()
    assert np.take_along_axis(batch.taken, batch.targets, axis=1)[batch.real].all()
    # training has 7 items a person and a window 5: an item of theirs is in it with chance 5/7
    owners = np.array([sum(item in s for s in sampler.windows.sequences) for item in batch.pool])
    missed = (1 - owners / USERS * 5 / 7) ** 6 * (1 - 3 / len(sampler.trained))
    np.testing.assert_allclose(batch.log_chance, np.log(1 - missed), rtol=1e-5)


def test_an_item_without_training_is_no_negative_and_a_mined_one_is_near():
    vectors = np.eye(4, dtype=np.float32)[[0, 0, 1, 1]]
    vectors[1] = (0.8, 0.6, 0, 0)
    # of 0 the likest is 1 (0.8), of 1 it is 0 (0.8), then 2 and 3 (0.6); 3 may not be named
    near = nearest(vectors, np.array([0, 1, 2]))
    assert near[0].tolist() == [1, 2] and near[1].tolist() == [0, 2] and near[2].tolist() == [1, 0]


def test_the_loss_by_hand():
    """Two items read, one target; an item the person took elsewhere is left out of the sum."""
    batch = ContrastBatch(
        pool=np.arange(4),
        inputs=np.array([[0, 1]]),
        targets=np.array([[1, 2]]),
        real=np.array([[False, True]]),
        taken=np.array([[True, True, True, False]]),
        log_chance=np.log(np.array([0.5, 0.5, 0.5, 0.25], np.float32)),
    )
    asks = torch.tensor([[1.0], [2.0], [0.0], [0.0]])
    answers = torch.tensor([[1.0], [1.0], [1.5], [0.5]])
    # the state is 0.5 · 1 + 2 = 2.5; the target's logit 2.5 · 1.5 is not corrected, that of
    # item 3 is 2.5 · 0.5 − ln 0.25; items 0 and 1 were taken
    target, other = 2.5 * 1.5, 2.5 * 0.5 - np.log(0.25)
    expected = np.log(np.exp(target) + np.exp(other)) - target
    loss = contrast_loss(asks, answers, torch.zeros(4), batch, OPTIONS)
    assert float(loss) == pytest.approx(expected, rel=1e-6)
