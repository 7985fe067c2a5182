"""A backbone is its content: other weights under the same path make another run, never another answer."""

import dataclasses
import json
import os

import numpy as np
import pytest

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data.splits import split
from llmrec_core.errors import CheckpointError
from llmrec_core.models import model_folder
from llmrec_core.models.model_folder import identity_of
from llmrec_core.recommenders.registry import build, family_class
from llmrec_core.running.study import with_content
from llmrec_core.scoring.embeddings import catalogue_embeddings
from tests.peers.conftest import catalogue  # noqa: F401 - a fixture
from tests.tiny import tiny_backbone, training_for

TEXTS = ["white field", "black", "drama comedy 1999"]
TRAINED = {"family": "cross-encoder", "adaptation": "head"}
ONE_STEP = {"steps": 1, "warmup_steps": 0, "validation_users": 3, "negatives": 3}


@pytest.fixture
def folder(tmp_path):
    return tiny_backbone(tmp_path / "bert")


def spec_of(folder, **recommender):
    return run_from_dict(
        {
            "recommender": {"backbone": str(folder), **recommender},
            "training": training_for(recommender["family"], ONE_STEP),
        }
    )


def queued(spec, settings, monkeypatch, dataset):
    """The spec as it is queued, on a catalogue that stands nowhere."""
    monkeypatch.setattr("llmrec_core.data.catalogue.load_dataset", lambda *_: dataset)
    return with_content(spec, settings)


def test_weights_tokenizer_and_configuration_are_the_identity(folder, settings):
    first = identity_of(str(folder), settings)
    (folder / "README.md").write_text("words about it")
    (folder / "trainer_state.json").write_text("{}")
    assert identity_of(str(folder), settings) == first
    for name in ("tokenizer.json", "config.json"):
        body = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(body | {"added": 1}))
        second = identity_of(str(folder), settings)
        assert second != first
        first = second
    tiny_backbone(folder, seed=1)
    assert identity_of(str(folder), settings) != first


def test_files_are_hashed_once_and_again_when_they_are_written(folder, settings, monkeypatch):
    hashed = []
    real = model_folder.sha256_of
    monkeypatch.setattr(model_folder, "sha256_of", lambda path: hashed.append(path) or real(path))
    first = identity_of(str(folder), settings)
    assert len(hashed) == len({path.name for path in hashed}) > 2
    hashed.clear()
    assert identity_of(str(folder), settings) == first
    assert hashed == []
    weights = folder / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1  # as long as before, and as old
    stamp = weights.stat()
    weights.write_bytes(bytes(changed))
    os.utime(weights, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert identity_of(str(folder), settings) != first
    assert [path.name for path in hashed] == ["model.safetensors"]


def test_other_weights_make_another_run(folder, settings, monkeypatch, catalogue):  # noqa: F811
    spec = spec_of(folder, **TRAINED)
    first = queued(spec, settings, monkeypatch, catalogue)
    assert queued(spec, settings, monkeypatch, catalogue).hash == first.hash
    tiny_backbone(folder, seed=1)
    assert queued(spec, settings, monkeypatch, catalogue).hash != first.hash
    with pytest.raises(CheckpointError, match="no longer what run"):
        build(first, catalogue, settings)


def test_a_built_in_backbone_adds_nothing_to_the_hash(settings, monkeypatch, catalogue):  # noqa: F811
    spec = run_from_dict({"recommender": {"family": "bi-encoder", "backbone": "minilm-l6"}})
    kept = queued(spec, settings, monkeypatch, catalogue)
    assert kept.recommender.backbone_hash == ""
    data = dataclasses.replace(spec.data, content_hash=catalogue.content_hash)
    assert kept.hash == dataclasses.replace(spec, data=data).hash


@pytest.mark.parametrize("family", ["cross-encoder", "cascade"])
def test_an_adapter_on_other_weights_is_refused(family, folder, settings, catalogue, tmp_path):  # noqa: F811
    chosen = dict(TRAINED)
    if family == "cascade":
        chosen |= {"retriever": "popularity", "rerank_k": 3}
    recommender = build(spec_of(folder, **chosen), catalogue, settings)
    recommender.fit(split(catalogue, "loo"), RunContext(tmp_path / "run"))
    recommender.save(tmp_path / "model")
    loaded = family_class(family).load(tmp_path / "model", catalogue)
    items = np.arange(5)[None]
    before = recommender.score([np.arange(3)], items)
    np.testing.assert_array_equal(loaded.score([np.arange(3)], items), before)
    tiny_backbone(folder, seed=1)
    with pytest.raises(CheckpointError, match="put the old files back, or run it again"):
        family_class(family).load(tmp_path / "model", catalogue)


def test_kept_vectors_of_other_weights_are_not_read(folder, settings, tmp_path):
    old = catalogue_embeddings(str(folder), TEXTS, settings)
    assert len(list((settings.home / "embeddings").glob("*.npy"))) == 1
    tiny_backbone(folder, seed=1)
    new = catalogue_embeddings(str(folder), TEXTS, settings)
    elsewhere = dataclasses.replace(settings, home=tmp_path / "other")
    np.testing.assert_array_equal(new, catalogue_embeddings(str(folder), TEXTS, elsewhere))
    assert np.abs(new - old).max() > 0.01


def test_a_model_of_another_prompt_is_refused(folder, settings, catalogue, tmp_path):  # noqa: F811
    recommender = build(spec_of(folder, **TRAINED), catalogue, settings)
    recommender.fit(split(catalogue, "loo"), RunContext(tmp_path / "run"))
    recommender.layout.opening = [*recommender.layout.opening, 7]
    recommender.save(tmp_path / "model")
    with pytest.raises(CheckpointError, match="other words around the items"):
        family_class("cross-encoder").load(tmp_path / "model", catalogue)


def test_another_rule_of_scoring_makes_another_run(monkeypatch):
    """SASRec summed micro-batches otherwise in version 0.1, say: such a run is not its answer."""
    plain = run_from_dict({"recommender": {"family": "sasrec", "adaptation": "full"}})
    adds_up = dataclasses.replace(plain, training=dataclasses.replace(plain.training, accumulate=2))
    reads = {"family": "decoder", "backbone": "llama", "retriever": "ease", "rerank_k": 5}
    shop = {"recommender": reads, "data": {"name": "shop"}}
    ranked_of_all = run_from_dict(shop | {"protocol": {"candidates": "full"}})
    on_ml_100k = run_from_dict({"recommender": reads})
    # among items that the retriever scores alike it took those that were offered first
    ranked_of_some = run_from_dict(shop)
    same, others = (plain, ranked_of_all, on_ml_100k), (adds_up, ranked_of_some)
    before = [spec.hash for spec in (*same, *others)]
    monkeypatch.setattr("llmrec_core.contract.spec.scoring_rule", lambda spec: 1)
    after = [spec.hash for spec in (*same, *others)]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True] * 3 + [False] * 2
