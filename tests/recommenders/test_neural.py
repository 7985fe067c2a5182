"""The same contract as the classical families, for those that are trained: on a checkerboard the withheld item comes first."""

import dataclasses
import functools

import numpy as np
import pytest

from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import RunSpec, run_from_dict
from llmrec_core.errors import CheckpointError, UsageError
from llmrec_core.metrics.evaluate import per_user
from llmrec_core.recommenders.registry import build, family_class
from tests.recommenders.checkerboard import ITEMS, split_checkerboard
from tests.tiny import tiny_backbone, training_for

TRAINING = {
    "steps": 80,
    "batch_histories": 16,
    "negatives": 6,
    "learning_rate": 5e-3,
    "warmup_steps": 5,
    "validate_every": 60,
}


@pytest.fixture(scope="module")
def checkerboard():
    return split_checkerboard()


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backbones")
    return {kind: str(tiny_backbone(folder / kind, kind)) for kind in ("bert", "llama")}


def spec_of(backbones, **recommender) -> RunSpec:
    kind = "llama" if recommender["family"] == "decoder" else "bert"
    if recommender["family"] != "sasrec":
        recommender["backbone"] = backbones[kind]
    training = training_for(recommender["family"], TRAINING)
    spec = run_from_dict({"recommender": {"history_items": 5, **recommender}, "training": training})
    return dataclasses.replace(spec, protocol=ProtocolSpec(candidates="11-uniform", users=0))


CASCADE = {
    "family": "cross-encoder",
    "adaptation": "full",
    "retriever": "item-knn",
    "rerank_k": 4,
    "blend": "validation",
}
FAMILIES = [
    {"family": "sasrec", "adaptation": "full", "options": {"width": 16}},
    {"family": "text-sasrec", "adaptation": "full", "options": {"width": 16}},
    {"family": "parallel-codes", "adaptation": "full", "options": {"width": 16, "codes": 4}},
    {"family": "tiger", "adaptation": "full", "options": {"width": 16, "levels": 1}},
    {"family": "cross-encoder", "adaptation": "full"},
    {"family": "cross-encoder", "adaptation": "full", "head": "attention"},
    {"family": "cross-encoder", "adaptation": "full", "history_attention": "full"},
    {"family": "decoder", "adaptation": "full", "head": "yes-no"},
]
NAMES = [
    *("sasrec", "text-sasrec", "parallel-codes", "tiger", "cross-encoder"),
    *("attention-head", "full-attention", "decoder"),
]


def requests(made):
    """The withheld item first, then all of the other colour."""
    return [case.history for case in made.test], np.stack(
        [np.append(case.relevant, np.arange((case.user + 1) % 2, ITEMS, 2)) for case in made.test]
    )


@pytest.fixture(scope="module", params=FAMILIES, ids=NAMES)
def trained(request, checkerboard, backbones, tmp_path_factory):
    import os

    home = tmp_path_factory.mktemp("home")
    os.environ["LLMREC_HOME"] = str(home)
    from llmrec_core.settings import load_settings

    settings = load_settings()
    spec = spec_of(backbones, **request.param)
    recommender = build(spec, checkerboard.dataset, settings)
    context = RunContext(home / "run")
    recommender.fit(checkerboard, context)
    return recommender, context, settings


def test_the_loss_falls_and_the_withheld_item_comes_first(trained, checkerboard):
    recommender, context, _ = trained
    assert recommender.result.last_loss < recommender.result.first_loss
    assert any(name == "valid_ndcg@10" for name, _, _ in context.curves)
    histories, candidates = requests(checkerboard)
    first = recommender.score(histories, candidates).argmax(axis=1) == 0
    assert first.mean() >= 0.9, f"withheld item first for {first.mean():.0%} of users"


def test_a_batch_equals_one_by_one(trained, checkerboard):
    recommender = trained[0]
    histories, candidates = requests(checkerboard)
    together = recommender.score(histories[:6], candidates[:6])
    alone = np.stack(
        [
            recommender.score([h], c[None])[0]
            for h, c in zip(histories[:6], candidates[:6], strict=True)
        ]
    )
    np.testing.assert_allclose(together, alone, atol=2e-5)


def test_saved_equals_loaded_and_a_damaged_folder_is_refused(trained, checkerboard, tmp_path):
    recommender, _, settings = trained
    histories, candidates = requests(checkerboard)
    recommender.save(tmp_path / "model")
    kind = family_class(recommender.spec.recommender.family)
    again = kind.load(tmp_path / "model", checkerboard.dataset, settings)
    np.testing.assert_allclose(
        again.score(histories[:4], candidates[:4]),
        recommender.score(histories[:4], candidates[:4]),
        atol=1e-6,
    )
    weights = tmp_path / "model" / "weights.safetensors"
    body = bytearray(weights.read_bytes())
    body[-8] ^= 1
    weights.write_bytes(body)
    with pytest.raises(CheckpointError, match="differs from its manifest"):
        kind.load(tmp_path / "model", checkerboard.dataset, settings)


def test_an_empty_history_is_scored(trained):
    scores = trained[0].score([np.array([], dtype=np.int64)], np.arange(ITEMS)[None])
    assert np.isfinite(scores).all()


def test_lora_adapters_merge_without_changing_a_score(checkerboard, backbones, settings, tmp_path):
    spec = spec_of(backbones, family="cross-encoder", adaptation="lora")
    recommender = build(spec, checkerboard.dataset, settings)
    recommender.fit(checkerboard, RunContext(tmp_path))
    histories, candidates = requests(checkerboard)
    before = recommender.score(histories[:4], candidates[:4])
    assert 0 < recommender.trainable < recommender.parameters
    recommender.save(tmp_path / "model")
    recommender.ready()
    np.testing.assert_allclose(recommender.score(histories[:4], candidates[:4]), before, atol=1e-5)
    again = family_class("cross-encoder").load(tmp_path / "model", checkerboard.dataset, settings)
    np.testing.assert_allclose(again.score(histories[:4], candidates[:4]), before, atol=1e-6)


def test_a_cascade_puts_what_was_read_above_the_rest(checkerboard, backbones, settings, tmp_path):
    spec = spec_of(backbones, **CASCADE)
    cascade = build(spec, checkerboard.dataset, settings)
    cascade.fit(checkerboard, RunContext(tmp_path))
    histories, candidates = requests(checkerboard)
    scores = cascade.score(histories, candidates)
    cheap = cascade.retriever.score(histories, candidates)
    read = np.argsort(-cheap, axis=1, kind="stable")[:, :4]
    best = np.argsort(-scores, axis=1, kind="stable")[:, :4]
    assert all(set(a) == set(b) for a, b in zip(read, best, strict=True))
    cascade.save(tmp_path / "model")
    again = family_class("cascade").load(tmp_path / "model", checkerboard.dataset, settings)
    np.testing.assert_allclose(again.score(histories[:3], candidates[:3]), scores[:3], atol=1e-5)


def test_a_blend_is_learned_alike_from_several_batches(
    checkerboard, backbones, settings, tmp_path, monkeypatch
):
    from llmrec_core.training import validation

    spec = spec_of(backbones, **CASCADE)
    curves = []
    for batch in (256, 5):
        monkeypatch.setattr(validation, "per_user", functools.partial(per_user, batch=batch))
        context = RunContext(tmp_path / str(batch))
        build(spec, checkerboard.dataset, settings).fit(checkerboard, context)
        curves.append([value for name, _, value in context.curves if name == "blend_valid_ndcg@10"])
    assert len(set(curves[0])) > 1 and curves[0] == pytest.approx(curves[1])


def test_a_cascade_needs_weights(backbones):
    with pytest.raises(UsageError, match="weights_from"):
        spec_of(backbones, family="cascade", retriever="item-knn", rerank_k=4)


def test_an_early_exit_is_calibrated_stored_and_costed(checkerboard, backbones, settings, tmp_path):
    spec = spec_of(
        backbones,
        family="cross-encoder",
        adaptation="head",
        options={"exit_layer": 1, "exit_keep": 1.0},
    )
    spec = dataclasses.replace(spec, protocol=ProtocolSpec(candidates="11-uniform", users=0, k=3))
    recommender = build(spec, checkerboard.dataset, settings)
    recommender.fit(checkerboard, RunContext(tmp_path))
    found = recommender.scorer.exit
    assert found is not None and 0 < found.survivors <= 1
    described = recommender.describe([np.arange(5)], np.arange(11)[None])
    assert described.notes["early_exit"]["layer"] == 1
    recommender.save(tmp_path / "model")
    again = family_class("cross-encoder").load(tmp_path / "model", checkerboard.dataset, settings)
    assert again.scorer.exit.margin == found.margin
    histories, candidates = requests(checkerboard)
    np.testing.assert_allclose(
        again.score(histories[:3], candidates[:3]),
        recommender.score(histories[:3], candidates[:3]),
        atol=1e-5,
    )
    unknown = dataclasses.replace(spec.recommender, options={"exit": 1})
    with pytest.raises(UsageError, match=r"'exit'.*Did you mean 'exit_keep'"):
        build(dataclasses.replace(spec, recommender=unknown), checkerboard.dataset, settings)


def test_sasrec_starts_from_co_occurrences_unless_told_otherwise(checkerboard, tmp_path):
    """Untrained but started, items of one colour lie together; with `cooccurrence = 0` they do not."""
    colour = np.array([int(name[1:]) % 2 for name in checkerboard.dataset.items["item_id"]])
    gaps = {}
    for scale in (0.0, 0.5):
        spec = spec_of(
            {}, family="sasrec", adaptation="full", options={"width": 8, "cooccurrence": scale}
        )
        model = build(spec, checkerboard.dataset, None)
        weights = model._build(None)
        model._start_from_cooccurrences(weights, checkerboard)
        vectors = weights.ids.weight[:ITEMS].detach().numpy()
        cosine = vectors @ vectors.T / np.outer(*[np.linalg.norm(vectors, axis=1)] * 2)
        same = colour[:, None] == colour
        gaps[scale] = cosine[same & ~np.eye(ITEMS, dtype=bool)].mean() - cosine[~same].mean()
    assert gaps[0.0] < 0.1 and gaps[0.5] > 0.3


def test_sasrec_refuses_an_option_it_does_not_have(checkerboard):
    with pytest.raises(UsageError, match=r"'widht'.*cooccurrence"):
        spec_of({}, family="sasrec", adaptation="full", options={"widht": 8})
    with pytest.raises(UsageError, match="cooccurrence is -1; expected a number from 0"):
        spec_of({}, family="sasrec", adaptation="full", options={"cooccurrence": -1})
    spec = spec_of({}, family="sasrec", adaptation="full", options={"width": 9, "heads": 2})
    with pytest.raises(UsageError, match="width 9 contradicts heads 2"):
        build(spec, checkerboard.dataset, None)
