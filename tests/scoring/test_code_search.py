"""The search over a catalogue's codes: exact, never beyond the tree, and its caches equal whole passes."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from llmrec_core.models.code_by_code_model import CodeByCodeModel
from llmrec_core.models.code_tree import tree_of
from llmrec_core.models.product_codes import groups_of
from llmrec_core.models.residual_codes import fit_residuals
from llmrec_core.scoring.code_search import beams_read, search
from tests.benchmarks.generated import Watched, generated

torch.set_num_threads(1)
ITEMS, LEVELS, CODEBOOK, LENGTH = 40, 2, 5, 6


def random_model(items=ITEMS, codebook=CODEBOOK, layers=2, seed=0):
    """Items of random codes, many of them shared, and a model whose weights are far from even."""
    codes = np.random.default_rng(seed).integers(codebook, size=(items, LEVELS))
    groups = groups_of(codes, np.zeros(items))
    torch.manual_seed(seed)
    model = CodeByCodeModel(
        items,
        LEVELS,
        codebook,
        groups.largest,
        LENGTH,
        width=8,
        layers=layers,
        heads=2,
        dropout=0.3,
    )
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.5)
    model.set_codes(torch.from_numpy(codes), groups)
    return model.eval()


def requests(count, items=ITEMS, seed=1):
    rng = np.random.default_rng(seed)
    lengths = np.arange(count) % (LENGTH + 1)
    sequences = np.full((count, LENGTH), items)
    for row, length in zip(sequences, lengths, strict=True):
        row[:length] = rng.integers(items, size=length)
    return torch.from_numpy(sequences), torch.from_numpy(lengths)


def by_level(model, sequences, lengths):
    """Logarithms of each code of every item after every history, each pair read by itself."""
    logs = np.empty((len(sequences), model.items, model.digits))
    for row, (sequence, length) in enumerate(zip(sequences, lengths.tolist(), strict=True)):
        pairs = sequence[: length + 1].repeat(model.items, 1)
        if length == LENGTH:
            pairs = torch.cat((pairs, pairs[:, :1]), dim=1)
        pairs[:, length] = torch.arange(model.items)
        states, codes = model(pairs)[:, length], model.item_codes()
        for level in range(model.digits):
            likely = model.logits(states[:, level], level).log_softmax(dim=-1)
            logs[row, :, level] = likely.gather(1, codes[:, level, None])[:, 0]
        whole = model.log_probabilities(pairs)[:, length]
        np.testing.assert_allclose(whole, logs[row].sum(axis=1), atol=1e-4)
    return logs


def plain_beam(logs, codes, offered, width):
    """Items that a beam reaches, from the logarithms (items, codes) of one history."""
    beams = {()}
    for depth in range(1, codes.shape[1] + 1):
        likely = {
            tuple(codes[item, :depth]): logs[item, :depth].sum()
            for item in np.flatnonzero(offered)
            if tuple(codes[item, : depth - 1]) in beams
        }
        beams = set(sorted(likely, key=lambda prefix: -likely[prefix])[:width])
    return {item for item in range(len(codes)) if tuple(codes[item]) in beams}


@torch.inference_mode()
def scores_of(model, tree, sequences, lengths, offered, width):
    reached = search(
        model, tree, sequences, lengths, offered, np.full(len(sequences), width, np.int64)
    )
    return reached[:, tree[-1].of_item]


def test_the_tree_holds_the_prefixes_that_exist_and_no_others():
    codes = random_model().item_codes().numpy()
    tree = tree_of(codes)
    assert tree[-1].nodes == ITEMS == len(np.unique(codes, axis=0)), "every item has its own codes"
    below = {0: {(): 0}}
    for depth, (level, deeper) in enumerate(pairwise(tree)):
        prefixes = {tuple(row[: depth + 1]) for row in codes.tolist()}
        assert deeper.nodes == len(prefixes)
        assert level.children.sum() == deeper.nodes
        written = {}
        for prefix, node in below[depth].items():
            first = level.first_child[node]
            for child in range(first, first + level.children[node]):
                written[(*prefix, int(deeper.code[child]))] = child
        assert set(written) == prefixes
        below[depth + 1] = written
        for item, row in enumerate(codes.tolist()):
            assert deeper.of_item[item] == written[tuple(row[: depth + 1])]
        for node in range(deeper.nodes):
            assert deeper.first_item[node] == np.flatnonzero(deeper.of_item == node)[0]


@pytest.mark.parametrize("layers", [1, 2])
def test_a_beam_as_wide_as_the_catalogue_ranks_as_every_item_read_by_itself(layers):
    model = random_model(layers=layers)
    sequences, lengths = requests(9)
    with torch.inference_mode():
        plain = by_level(model, sequences, lengths).sum(axis=2)
    everything = np.ones((9, ITEMS), dtype=bool)
    scores = scores_of(
        model, tree_of(model.item_codes().numpy()), sequences, lengths, everything, ITEMS
    )
    np.testing.assert_allclose(scores, plain, atol=1e-4)
    np.testing.assert_array_equal(np.argsort(-scores, axis=1), np.argsort(-plain, axis=1))
    assert np.exp(plain).sum(axis=1).max() < 1, "rows of codes that no item has take the rest"


def test_all_rows_of_codes_together_have_a_probability_of_one():
    codes = np.array([[a, b] for a in range(3) for b in range(3)])
    model = CodeByCodeModel(9, 2, 3, 1, LENGTH, width=8, layers=1, heads=2, dropout=0.0).eval()
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.5)
    model.set_codes(torch.from_numpy(codes), groups_of(codes, np.zeros(9)))
    sequences, lengths = requests(7, items=9)
    scores = scores_of(model, tree_of(model.item_codes().numpy()), sequences, lengths,
                   np.ones((7, 9), dtype=bool), 9)  # fmt: skip
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), np.ones(7), rtol=1e-5)


@pytest.mark.parametrize("width", [1, 3, 7])
def test_a_narrow_beam_keeps_the_best_prefixes_and_scores_them_exactly(width):
    """Against a search in plain Python over the exact table of every item's codes."""
    model = random_model()
    codes = model.item_codes().numpy()
    tree = tree_of(codes)
    sequences, lengths = requests(8)
    offered = np.random.default_rng(2).random((8, ITEMS)) < 0.7
    with torch.inference_mode():
        logs = by_level(model, sequences, lengths)
    scores = scores_of(model, tree, sequences, lengths, offered, width)
    reached = np.isfinite(scores)
    np.testing.assert_allclose(scores[reached], logs.sum(axis=2)[reached], atol=1e-4)
    for row in range(8):
        expected = plain_beam(logs[row], codes, offered[row], width)
        assert set(np.flatnonzero(reached[row])) == expected and len(expected) == width
        some = slice(row, row + 1)
        alone = scores_of(model, tree, sequences[some], lengths[some], offered[some], width)[0]
        np.testing.assert_array_equal(np.isfinite(alone), reached[row])
        np.testing.assert_allclose(alone[reached[row]], scores[row, reached[row]], atol=1e-5)


def test_beams_that_go_on_are_counted_before_anything_is_read():
    """What the formula of costs takes for granted: the codes that the model is really given."""
    model = random_model()
    tree = tree_of(model.item_codes().numpy())
    offered = np.random.default_rng(2).random((1, ITEMS)) < 0.5
    for width in (1, 4, 9, ITEMS):
        watched = Watched(model)
        scores_of(watched, tree, *requests(1), offered, width)
        assert watched.beams == beams_read(tree, np.flatnonzero(offered[0]), width)


def test_nothing_that_does_not_exist_is_generated():
    """More than 100,000 items of a random model whose space of codes is almost empty."""
    items = 400
    codes = np.random.default_rng(3).integers(16, size=(items, 3))
    groups = groups_of(codes, np.zeros(items))
    model = CodeByCodeModel(
        items, 3, 16, groups.largest, 4, width=8, layers=1, heads=1, dropout=0.0
    ).eval()
    model.set_codes(torch.from_numpy(codes), groups)
    rng = np.random.default_rng(4)
    histories = [rng.integers(items, size=4) for _ in range(1_700)]
    counted = generated(model, histories, beam=60, together=100)
    assert counted["items"] == 1_700 * 60 and counted["unknown"] == 0
    model.codes[:-1, 0] = (model.codes[:-1, 0] + 1) % 16  # the tree of another catalogue
    other = generated(model, histories[:100], beam=60, together=100, tree=tree_of(codes))
    assert other["unknown"] > 0, "the count can tell"


def test_each_level_quantises_what_the_one_before_left():
    """Sixteen points on a grid of 4 by 4: four coarse clusters, then four places within each."""
    far, near = np.meshgrid([0.0, 10.0], [0.0, 10.0]), np.meshgrid([-1.0, 1.0], [-1.0, 1.0])
    coarse, fine = (np.stack(part, axis=-1).reshape(-1, 2) for part in (far, near))
    points = (coarse[:, None] + fine[None]).reshape(-1, 2).astype(np.float32)
    quantiser = fit_residuals(points, levels=2, codebook=4, seed=0)
    codes = quantiser.codes(points)
    assert len(np.unique(codes, axis=0)) == 16
    again = quantiser.centroids[0][codes[:, 0]] + quantiser.centroids[1][codes[:, 1]]
    np.testing.assert_allclose(again, points, atol=1e-5)
    assert [len(set(codes[n : n + 4, 0])) for n in range(0, 16, 4)] == [1, 1, 1, 1]
