"""Parallel codes: what items are made of, an exact score for each of them, and bad input as a sentence."""

import numpy as np
import pytest
import torch

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data.splits import split
from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.models.codes_model import CodesModel, scores_of, scores_of_all
from llmrec_core.models.product_codes import fit_quantiser, groups_of
from llmrec_core.recommenders.registry import build, family_class
from tests.recommenders.coded_items import ITEMS, TITLES, TRAINING, Listening, ring_of
from tests.tiny import tiny_backbone

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return str(tiny_backbone(tmp_path_factory.mktemp("codes") / "bert"))


@pytest.fixture(scope="module")
def ring():
    return ring_of(TITLES)


def run_of(backbone, training=None, **options):
    options = {"width": 16, "layers": 1, "heads": 1, "codes": 4, "in_epochs": 1} | options
    body = {
        "protocol": {"candidates": "full", "users": 0},
        "recommender": {
            "family": "parallel-codes", "adaptation": "full", "backbone": backbone,
            "history_items": 6, "options": options,
        },
        "training": TRAINING | (training or {}),
    }  # fmt: skip
    return run_from_dict(body)


def test_parts_that_vary_alone_are_kept_exactly():
    """Two independent axes with two values each: two codes of two centroids lose nothing."""
    corners = np.array([[a, b] for a in (0.0, 3.0) for b in (0.0, 1.0)] * 5, np.float32)
    quantiser = fit_quantiser(corners, codes=2, codebook=2, seed=0)
    codes = quantiser.codes(corners)
    assert len(np.unique(codes, axis=0)) == 4
    parts = [quantiser.centroids[part, codes[:, part]] for part in range(2)]
    again = np.concatenate(parts, axis=1) @ quantiser.axes.T + quantiser.mean
    np.testing.assert_allclose(again, corners, atol=1e-5)


def test_a_part_with_fewer_values_than_centroids_uses_as_many_as_there_are():
    """One axis says nothing; its only centroid is everybody's."""
    line = np.stack([np.arange(6.0), np.zeros(6)], axis=1).astype(np.float32)
    codes = fit_quantiser(line, codes=2, codebook=6, seed=0).codes(line)
    assert sorted(len(set(part)) for part in codes.T) == [1, 6]


def random_model(codes, counts, codebook):
    groups = groups_of(codes, counts)
    torch.manual_seed(0)
    model = CodesModel(
        len(codes), codes.shape[1], codebook, groups.largest, length=5, width=8, layers=1, heads=2,
        dropout=0.0, temperature=0.2,
    )  # fmt: skip
    torch.nn.init.normal_(model.turns)
    model.set_codes(torch.from_numpy(codes), groups)
    return model.eval(), groups


def test_every_combination_of_codes_adds_up_to_a_probability_of_one():
    """All 3² combinations, one of them shared by three items: no more and no less than 1."""
    codes = np.array([[a, b] for a in range(3) for b in range(3)] + [[1, 1], [1, 1]])
    model, groups = random_model(codes, np.arange(len(codes)), 3)
    assert (groups.sharing, groups.largest) == (3, 3)
    assert groups.places[[4, 9, 10]].tolist() == [2, 1, 0], "the most popular one first"
    states = torch.randn(5, 8)
    with torch.no_grad():
        table, summands = model.table(states), model.summands()
        everything = scores_of_all(table, summands)
        np.testing.assert_allclose(everything.exp().sum(dim=1), np.ones(5), rtol=1e-5)
        alone = [scores_of_all(row[None], summands)[0] for row in table]
        np.testing.assert_allclose(torch.stack(alone), everything, atol=1e-5)
        of_codes, _ = model.logits(states)
        logs = of_codes.log_softmax(dim=-1)
        alone = logs[0, :, 2] + logs[1, :, 0]  # item 6 has codes 2 and 0 and nobody to share them
        np.testing.assert_allclose(everything[:, 6], alone, atol=1e-5)
        some = torch.tensor([[3, 10], [9, 0], [4, 4], [1, 2], [8, 7]])
        np.testing.assert_allclose(
            scores_of(table, summands[some]), everything.gather(1, some), atol=1e-5
        )
        # The loss is the same sum, a mean over 2 codes and the place.
        targets = torch.tensor([6, 9, 4, 0, 10])
        right = everything[torch.arange(5), targets]
        assert float(model.loss(states, targets)) == pytest.approx(float(-right.mean() / 3), 1e-5)


def test_the_withheld_item_comes_first_and_a_loaded_model_scores_alike(
    ring, backbone, settings, tmp_path
):
    parts = split(ring, "loo")
    recommender = build(run_of(backbone), ring, settings)
    context = Listening(tmp_path / "run")
    recommender.fit(parts, context)
    assert {"encode", "quantise", "fit"} <= context.phases
    histories = [case.history for case in parts.test]
    everything = np.tile(np.arange(ITEMS), (len(histories), 1))
    scores = recommender.score(histories, everything)
    right = np.array([case.relevant[0] for case in parts.test])
    assert (scores.argmax(axis=1) == right).mean() >= 0.9
    few = recommender.score(histories, everything[:, :2])  # too few to score the whole catalogue
    np.testing.assert_allclose(few, scores[:, :2], atol=1e-4)
    padded = recommender.score(histories[:1], np.array([[3, -1, 5]]))
    assert np.isneginf(padded[0, 1]) and np.isfinite(padded[0, [0, 2]]).all()
    recommender.save(tmp_path / "model")
    again = family_class("parallel-codes").load(tmp_path / "model", ring, settings)
    np.testing.assert_array_equal(again.score(histories, everything), scores)
    before, after = (model.describe(histories, everything) for model in (recommender, again))
    assert before == after and before.weight_bytes > 4 * before.parameters
    again.save(tmp_path / "copy")  # what was loaded is stored whole
    copy = family_class("parallel-codes").load(tmp_path / "copy", ring, settings)
    copy.reread(ring_of(TITLES), settings)
    np.testing.assert_allclose(copy.score(histories, everything), scores, atol=1e-4)
    copy.reread(ring_of(["comedy"] * ITEMS), settings)
    assert not np.allclose(copy.score(histories, everything), scores)


def test_items_with_one_text_are_told_apart_and_counted(backbone, settings, tmp_path):
    titles = ["", "", *TITLES[2:10], *["drama"] * 3, *TITLES[13:]]
    ring = ring_of(titles)
    parts = split(ring, "loo")
    recommender = build(run_of(backbone), ring, settings)
    context = Listening(tmp_path / "run")
    recommender.fit(parts, context)
    histories = [case.history for case in parts.test]
    everything = np.tile(np.arange(ITEMS), (len(histories), 1))
    notes = recommender.describe(histories, everything).notes
    assert notes["items_sharing_codes"] >= 5 and notes["largest_group"] >= 3
    assert notes["items_without_title"] == 2
    assert notes["additions_per_request"] == ITEMS * (4 + 2)
    assert any("share all their codes" in line for line in context.lines)
    assert any(line.startswith("2 items have no title") for line in context.lines)
    scores = recommender.score(histories, everything)
    assert all(len(set(row)) == ITEMS for row in scores.tolist()), "no two items score alike"
    right = np.array([case.relevant[0] for case in parts.test])
    assert (scores.argmax(axis=1) == right).mean() >= 0.9


@pytest.mark.parametrize(
    ("titles", "options", "error", "sentence"),
    [
        (TITLES, {"codebook": 25}, UsageError, "codebook is 25, but the catalogue has only 24"),
        (["drama"] * ITEMS, {"codebook": 2}, UsageError, "only 1 different texts"),
        (TITLES, {"codes": 33}, UsageError, "codes is 33, but the text vectors are only 32 wide"),
        ([""] * ITEMS, {}, UnsupportedError, "none of the 24 items of 'ring' has one"),
    ],
)
def test_what_makes_no_codes_is_a_sentence(
    titles, options, error, sentence, backbone, settings, tmp_path
):
    ring = ring_of(titles)
    recommender = build(run_of(backbone, **options), ring, settings)
    with pytest.raises(error, match=sentence):
        recommender.fit(split(ring, "loo"), RunContext(tmp_path))


def test_options_of_other_families_are_refused(backbone):
    with pytest.raises(UsageError, match="'negatives', which 'parallel-codes' does not have"):
        run_of(backbone, negatives=8)
    with pytest.raises(UsageError, match="codes is 0; expected a whole number from 1"):
        run_of(backbone, codes=0)
