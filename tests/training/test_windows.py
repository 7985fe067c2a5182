"""Windows in epochs ask everybody once, and a sampled softmax is the full one where it is all."""

import itertools

import numpy as np
import torch
from torch.nn import functional

from llmrec_core.training.sampled_softmax import sampled_logits
from llmrec_core.training.windows import WindowSampler

ITEMS, LENGTH, BATCH = 99, 5, 4


def sampler(**options):
    """A sampler over eleven people, each with items of their own: nine codes from 9 * person on."""
    sequences = [9 * person + np.arange(2 + person % 8) for person in range(11)]
    return WindowSampler(sequences, length=LENGTH, padding=ITEMS, seed=3, **options), sequences


def test_an_epoch_has_everybody_once_and_the_next_in_another_order():
    windows, _ = sampler(in_epochs=True)
    batches = 3  # 11 people in batches of 4: 4 + 4 + 3
    epochs = []
    for epoch in range(2):
        drawn = [windows.draw(epoch * batches + place, BATCH) for place in range(batches)]
        assert sorted(len(part.inputs) for part in drawn) == [3, 4, 4]
        people = [int(row[0]) // 9 for part in drawn for row in part.inputs]
        assert sorted(people) == list(range(11))
        epochs.append(people)
    assert epochs[0] != epochs[1]


def test_a_batch_of_an_epoch_is_as_wide_as_its_longest_and_asks_for_the_next_item():
    windows, sequences = sampler(in_epochs=True)
    after = {pair for sequence in sequences for pair in itertools.pairwise(sequence.tolist())}
    for number in range(6):
        drawn = windows.draw(number, BATCH)
        assert drawn.inputs.shape[1] == drawn.real.sum(axis=1).max() <= LENGTH
        asked = zip(drawn.inputs[drawn.real], drawn.targets[drawn.real], strict=True)
        assert {(int(item), int(target)) for item, target in asked} <= after


def test_a_draw_depends_on_its_number_alone():
    one, _ = sampler(in_epochs=True, negatives=6)
    two, _ = sampler(in_epochs=True, negatives=6)
    two.draw(5, BATCH)  # what was drawn before does not count
    for number in (4, 0, 7):
        first, second = one.draw(number, BATCH), two.draw(number, BATCH)
        assert np.array_equal(first.inputs, second.inputs)
        assert np.array_equal(first.negatives, second.negatives)
        assert len(set(first.negatives.tolist())) == 6 and first.negatives.max() < ITEMS


def test_with_all_items_drawn_the_sampled_softmax_is_the_full_one():
    generator = torch.Generator().manual_seed(0)
    states, table = (torch.randn(rows, 8, generator=generator) for rows in (7, ITEMS))
    targets = torch.randint(ITEMS, (7,), generator=generator)
    everything = sampled_logits(states, table, targets, torch.randperm(ITEMS, generator=generator))
    sampled = functional.cross_entropy(everything, torch.zeros(7, dtype=torch.long))
    full = functional.cross_entropy(states @ table.T, targets)
    torch.testing.assert_close(sampled, full)


def test_over_many_draws_negatives_weigh_as_much_as_all_other_items():
    generator = torch.Generator().manual_seed(1)
    states, table = (torch.randn(rows, 8, generator=generator) / 4 for rows in (1, ITEMS))
    targets = torch.tensor([5])
    others = (states @ table.T).exp().sum() - (states @ table[5]).exp().sum()
    drawn = [
        sampled_logits(states, table, targets, torch.randperm(ITEMS, generator=generator)[:10])
        for _ in range(4_000)
    ]
    mean = torch.stack([logits[0, 1:].exp().sum() for logits in drawn]).mean()
    torch.testing.assert_close(mean, others, rtol=0.02, atol=0.0)
