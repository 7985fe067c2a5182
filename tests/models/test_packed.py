"""The fast path equals the simple one: any architecture, lengths, padding, kernel; scores and gradients; FLOPs by formula."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from llmrec_core.models.packed import read_candidates, read_history, read_whole
from llmrec_core.models.packed_attention import Keys, Queries, attend
from llmrec_core.models.scorer_model import merge_lora, set_trainable
from llmrec_core.profiling import counts
from llmrec_core.training.objectives import listwise
from tests.engine import KINDS, backbone, scorer_model, separate_scores, separate_states

few = settings(max_examples=5, deadline=None)
seeds = st.integers(0, 2**31)


@pytest.fixture(scope="module", params=KINDS)
def made(request):
    return backbone(request.param)


def words(rng, made, length):
    return [int(t) for t in rng.integers(5, made.stack.config.vocab_size, length)]


def padded(rows, width):
    """Rows as a grid; padding to the right holds tokens that must not matter."""
    tokens = torch.full((len(rows), width), 7)
    mask = torch.zeros(len(rows), width, dtype=torch.bool)
    for number, row in enumerate(rows):
        tokens[number, : len(row)] = torch.tensor(row)
        mask[number, : len(row)] = True
    return tokens, mask


@few
@given(seed=seeds, data=st.data())
def test_packed_equals_separate_sequences(made, seed, data):
    rng = np.random.default_rng(seed)
    groups, count = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    histories = [words(rng, made, rng.integers(1, 20)) for _ in range(groups)]
    candidates = [
        [words(rng, made, rng.integers(1, 7)) for _ in range(count)] for _ in range(groups)
    ]
    flat = [row for group in candidates for row in group]
    tokens, mask = (t.view(groups, count, -1) for t in padded(flat, max(map(len, flat))))
    read_at = mask.sum(-1) - 1
    wide = padded(histories, 24)
    expected = [
        [separate_states(made, h, c) for c in group]
        for h, group in zip(histories, candidates, strict=True)
    ]
    for mode in (torch.inference_mode, torch.enable_grad):  # the tiled kernel, and plain products
        with mode():
            history = read_history(made.stack, *wide)
            whole = read_candidates(made.stack, history, tokens, mask)
            one = read_candidates(made.stack, history, tokens, mask, read_at=read_at)
        for g in range(groups):
            for n in range(count):
                torch.testing.assert_close(
                    whole[g, n, mask[g, n]], expected[g][n], atol=2e-5, rtol=1e-4
                )
                torch.testing.assert_close(one[g, n], expected[g][n][-1], atol=2e-5, rtol=1e-4)


@few
@given(seed=seeds)
def test_whole_sequences_equal_hugging_face(made, seed):
    rng = np.random.default_rng(seed)
    rows = [words(rng, made, rng.integers(1, 20)) for _ in range(3)]
    tokens, mask = padded(rows, 20)
    types = torch.zeros_like(tokens)
    states = read_whole(made.stack, tokens, mask, types)
    for number, row in enumerate(rows):
        expected = made.stack.base(input_ids=torch.tensor([row])).last_hidden_state[0]
        torch.testing.assert_close(states[number, : len(row)], expected, atol=2e-5, rtol=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    seed=seeds, groups=st.integers(1, 3), kv=st.integers(1, 3), shared=st.integers(1, 3), count=st.integers(1, 5),
    width=st.integers(1, 6), past=st.integers(1, 40), one_row=st.booleans(), causal=st.booleans(), unequal=st.booleans(),
)  # fmt: skip
def test_tiled_attention_equals_plain(
    seed, groups, kv, shared, count, width, past, one_row, causal, unequal
):
    torch.manual_seed(seed % 2**31)
    rows, depth = (1 if one_row else width), 8
    q = torch.randn(groups, count * rows, kv * shared, depth).transpose(1, 2) * 3
    k, v = (torch.randn(groups, count * width, kv, depth).transpose(1, 2) for _ in range(2))
    past_k, past_v = (torch.randn(groups, past, kv, depth).transpose(1, 2) for _ in range(2))
    past_mask = torch.arange(past) < torch.randint(1, past + 1, (groups, 1)) if unequal else None
    own = (torch.arange(width) < torch.randint(1, width + 1, (groups, count, 1)))[:, :, None, :]
    if causal:
        own = (own & torch.ones(width, width, dtype=torch.bool).tril())[:, :, :rows]
    own[..., 0] = True
    arguments = (
        Queries(q, count, rows, depth**-0.5),
        Keys(past_k, past_v, past_mask),
        Keys(k, v, own),
    )
    tiled = attend(*arguments)
    with sdpa_kernel(SDPBackend.MATH):
        plain = attend(*arguments)
    torch.testing.assert_close(tiled, plain, atol=3e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_equal_those_of_separate_sequences(kind, checkpointing):
    made = scorer_model(kind, head="attention")
    set_trainable(made, "full")
    made.checkpointing = checkpointing
    histories = [made.layout.history(h) for h in ([1, 2, 3], [4], [])]
    items = np.array([[3, 8, 1], [9, 4, 30], [2, 7, 22]])
    packed = made(histories, items)
    listwise(packed).backward()
    gradients = {name: p.grad.clone() for name, p in made.named_parameters() if p.grad is not None}
    made.zero_grad()
    separate = separate_scores(made, histories, items)
    listwise(separate).backward()
    torch.testing.assert_close(packed, separate, atol=1e-4, rtol=1e-4)
    compared = 0
    for name, parameter in made.named_parameters():
        if parameter.grad is None:
            continue
        size = parameter.grad.abs().max()
        assert (gradients[name] - parameter.grad).abs().max() <= 1e-4 * size + 1e-6, name
        compared += 1
    assert compared > 10


@pytest.mark.parametrize("kind", KINDS)
def test_merged_adapters_give_the_same_scores(kind):
    made = scorer_model(kind)
    whole = sum(p.numel() for p in made.parameters())
    set_trainable(made, "lora", rank=2)
    trainable = [p for p in made.parameters() if p.requires_grad]
    assert 0 < sum(p.numel() for p in trainable) < whole
    with torch.no_grad():
        for parameter in trainable:
            parameter.add_(torch.randn_like(parameter) * 0.05)
    history, items = made.layout.history([1, 2, 3]), np.arange(6)[None]
    with torch.inference_mode():
        before = made.score_items(made.read_history([history]), items)
        merge_lora(made)
        after = made.score_items(made.read_history([history]), items)
    assert not any("lora" in name for name, _ in made.named_parameters())
    torch.testing.assert_close(after, before, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("adaptation", ["none", "head", "full"])
def test_only_what_was_chosen_is_trained(adaptation):
    made = scorer_model("bert")
    set_trainable(made, adaptation)
    inside = {p.requires_grad for p in made.language_model.parameters()}
    assert inside == {adaptation == "full"}
    assert {p.requires_grad for p in made.head.parameters()} == {adaptation != "none"}


def test_frozen_layers_stay_frozen():
    made = scorer_model("bert")
    set_trainable(made, "full", freeze_layers=1)
    trained = {name for name, p in made.language_model.named_parameters() if p.requires_grad}
    assert trained and all(".layer.1." in name for name in trained)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("one_row", [True, False])
def test_the_formula_counts_what_torch_counts(kind, one_row):
    made = backbone(kind)
    stack, past, count, width = made.stack, 17, 5, 4
    shape = counts.shape_of(stack.config)
    rng = np.random.default_rng(0)
    tokens, mask = padded([words(rng, made, past)], past)
    own = torch.tensor([[words(rng, made, width) for _ in range(count)]])
    real = torch.ones_like(own, dtype=torch.bool)
    read_at = torch.full((1, count), width - 1) if one_row else None
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as counter:
            history = read_history(stack, tokens, mask)
        assert counter.get_total_flops() == counts.history_flops(shape, past)
        with FlopCounterMode(display=False) as counter:
            read_candidates(stack, history, own, real, read_at=read_at)
        assert counter.get_total_flops() == counts.candidates_flops(
            shape, past, count, width, one_row=one_row
        )
        whole = torch.cat((tokens.expand(count, -1), own[0]), 1)
        with FlopCounterMode(display=False) as counter:
            read_whole(
                stack, whole, torch.ones_like(whole, dtype=torch.bool), torch.zeros_like(whole)
            )
        assert counter.get_total_flops() == counts.full_flops(shape, past, count, width)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no NVIDIA GPU")
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_gives_the_scores_of_the_cpu(kind):
    made = scorer_model(kind)
    history, items = made.layout.history([1, 2, 3]), np.arange(8)[None]
    with torch.inference_mode():
        here = made.score_items(made.read_history([history]), items)
        made.to("cuda")
        there = made.score_items(made.read_history([history]), items)
    torch.testing.assert_close(there.cpu(), here, atol=1e-3, rtol=1e-3)
