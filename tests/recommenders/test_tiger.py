"""Generated codes: trained, searched, stored and costed as a family; bad input as a sentence."""

import numpy as np
import pytest
import torch

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data.splits import split
from llmrec_core.errors import NotFiniteError, UnsupportedError, UsageError
from llmrec_core.recommenders import tiger
from llmrec_core.recommenders.registry import build, family_class
from llmrec_core.training.windows import Windows
from tests.recommenders.coded_items import ITEMS, TITLES, TRAINING, Listening, ring_of
from tests.tiny import tiny_backbone

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return str(tiny_backbone(tmp_path_factory.mktemp("tiger") / "bert"))


@pytest.fixture(scope="module")
def ring():
    return ring_of(TITLES)


def run_of(backbone, training=None, **options):
    options = {"width": 16, "layers": 1, "heads": 2, "levels": 2, "in_epochs": 1} | options
    body = {
        "protocol": {"candidates": "full", "users": 0},
        "recommender": {
            "family": "tiger", "adaptation": "full", "backbone": backbone,
            "history_items": 3, "options": options,
        },
        "training": TRAINING | (training or {}),
    }  # fmt: skip
    return run_from_dict(body)


def test_the_withheld_item_comes_first_and_a_loaded_model_scores_alike(
    ring, backbone, settings, tmp_path
):
    parts = split(ring, "loo")
    recommender = build(run_of(backbone, beam=5), ring, settings)
    context = Listening(tmp_path / "run")
    recommender.fit(parts, context)
    assert {"encode", "quantise", "fit"} <= context.phases
    histories = [case.history for case in parts.test]
    everything = np.tile(np.arange(ITEMS), (len(histories), 1))
    scores = recommender.score(histories, everything)
    right = np.array([case.relevant[0] for case in parts.test])
    assert (scores.argmax(axis=1) == right).mean() >= 0.9
    lowest = scores.min(axis=1, keepdims=True)
    reached = scores > lowest
    assert (reached.sum(axis=1) == 5).all(), "the beam, and everything else alike below it"
    above = np.where(reached, scores, np.inf).min(axis=1)
    np.testing.assert_allclose(above - lowest[:, 0], 1.0, atol=1e-5)
    # Half of the catalogue is scored exactly; what the beam reached of it scores the same.
    half = recommender.score(histories, everything[:, : ITEMS // 2])
    assert all(len(set(row)) == ITEMS // 2 for row in half.tolist()), "nothing was left unread"
    both = reached[:, : ITEMS // 2]
    np.testing.assert_allclose(half[both], scores[:, : ITEMS // 2][both], atol=1e-5)
    wide = build(run_of(backbone, beam=ITEMS), ring, settings).with_network(recommender.network())
    exact = wide.score(histories, everything)
    np.testing.assert_allclose(exact[:, : ITEMS // 2], half, atol=1e-5)
    padded = recommender.score(histories[:2], np.array([[3, -1, 5], [-1, -1, -1]]))
    assert np.isneginf(padded[0, 1]) and np.isfinite(padded[0, [0, 2]]).all()
    assert np.isneginf(padded[1]).all()
    recommender.save(tmp_path / "model")
    again = family_class("tiger").load(tmp_path / "model", ring, settings)
    np.testing.assert_array_equal(again.score(histories, everything), scores)
    before, after = (model.describe(histories, everything) for model in (recommender, again))
    assert before == after and before.weight_bytes > 4 * before.parameters
    assert before.notes["beam"] == 5 and before.notes["searched"] == 1.0
    again.reread(ring_of(TITLES), settings)
    np.testing.assert_allclose(again.score(histories, everything), scores, atol=1e-4)
    again.reread(ring_of(["comedy"] * ITEMS), settings)
    told = again.score(histories, everything)
    assert np.isfinite(told).all() and not np.allclose(told, scores)


def test_what_a_person_has_seen_takes_no_place_in_the_beam(ring, backbone, settings):
    """Only offered items are written: a beam of 4 reaches 4 of them, whoever else is likelier."""
    recommender = build(run_of(backbone, beam=4), ring, settings)
    history = np.arange(6)
    scores = recommender.score([history], np.arange(6, ITEMS)[None])[0]
    assert (scores > scores.min()).sum() == 4


def test_every_code_of_every_item_is_learned(ring, backbone, settings):
    """The loss is minus the mean logarithm of the codes of all items, those of the first too."""
    inputs = np.array([[3, 4, ITEMS], [5, 6, 7]])
    windows = Windows(
        inputs, np.array([[4, 9, 0], [6, 7, 8]]), np.array([[True, True, False], [True] * 3])
    )
    sequences, real = tiger.whole_sequences(windows)
    np.testing.assert_array_equal(sequences, [[3, 4, 9, 0], [5, 6, 7, 8]])
    np.testing.assert_array_equal(real.sum(axis=1), [3, 4])
    model = build(run_of(backbone), ring, settings).network().eval()
    with torch.no_grad():
        loss = model.loss(torch.from_numpy(sequences), torch.from_numpy(real))
        logs = model.log_probabilities(torch.from_numpy(sequences))[torch.from_numpy(real)]
    assert float(loss) == pytest.approx(-float(logs.sum()) / (7 * 3), rel=1e-5)


def test_items_with_one_text_are_told_apart_and_counted(backbone, settings, tmp_path):
    titles = ["", "", *TITLES[2:10], *["drama"] * 3, *TITLES[13:]]
    ring = ring_of(titles)
    recommender = build(run_of(backbone, training={"steps": 6}), ring, settings)
    context = Listening(tmp_path / "run")
    recommender.fit(split(ring, "loo"), context)
    codes = recommender.network().item_codes().numpy()
    assert len(np.unique(codes, axis=0)) == ITEMS
    assert sorted(codes[10:13, -1].tolist()) == [0, 1, 2], "one text: the last code alone differs"
    assert len(np.unique(codes[10:13, :-1], axis=0)) == 1
    notes = recommender.describe([np.arange(3)], np.arange(ITEMS)[None]).notes
    assert notes["items_sharing_codes"] >= 5 and notes["largest_group"] >= 3
    assert notes["items_without_title"] == 2
    assert any("share all their codes" in line for line in context.lines)
    assert any("beam is 50, and the catalogue has 24 items" in line for line in context.lines)


def test_weights_that_are_no_numbers_are_a_sentence(ring, backbone, settings):
    recommender = build(run_of(backbone, beam=3), ring, settings)
    with torch.no_grad():
        recommender.network().start.fill_(torch.nan)
    for offered in (ITEMS, 2):
        with pytest.raises(NotFiniteError, match="training diverged"):
            recommender.score([np.arange(3)], np.arange(offered)[None])


@pytest.mark.parametrize(
    ("titles", "options", "error", "sentence"),
    [
        (TITLES, {"codebook": 25}, UsageError, "codebook is 25, but the catalogue has only 24"),
        (["drama"] * ITEMS, {"codebook": 2}, UsageError, "only 1 different texts"),
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
    with pytest.raises(UsageError, match="'temperature', which 'tiger' does not have"):
        run_of(backbone, temperature=0.1)
    with pytest.raises(UsageError, match="beam is 0; expected a whole number from 1"):
        run_of(backbone, beam=0)
