"""Mode `per_item`: the packed reading equals Hugging Face with every position and every pair of tokens spelled out."""

import numpy as np
import pytest
import torch

from llmrec_core.errors import UnsupportedError
from llmrec_core.models.per_item import NEWEST, STRIDE, arrange
from llmrec_core.models.prompt_layout import PromptLayout
from llmrec_core.scoring.scorer import Scorer
from tests.engine import scorer_model


def spelled_out(made, items, candidate):
    """Score of one pair: one sequence, positions and mask written token by token."""
    layout, most = made.layout, made.backbone.stack.max_tokens
    stride = min(STRIDE, (most - NEWEST - 33) // (layout.history_items - 1))
    tokens, places, blocks = [*layout.opening], [0], ["opening"]
    for slot, item in zip(range(len(items) - 1, -1, -1), items, strict=True):
        tokens += layout.pieces[item]
        places += [NEWEST + stride * slot + i for i in range(len(layout.pieces[item]))]
        blocks += [slot] * len(layout.pieces[item])
    tokens += layout.closing
    places += [NEWEST - stride]
    blocks += ["closing"]
    past = len(tokens)
    tokens += layout.candidates[candidate]
    places += [1 + i for i in range(len(tokens) - past)]
    mask = torch.zeros(1, 1, len(tokens), len(tokens), dtype=torch.bool)
    for row in range(len(tokens)):
        for column in range(len(tokens)):
            if row >= past:
                mask[..., row, column] = True
            elif column < past:
                mask[..., row, column] = blocks[column] in ("opening", blocks[row])
    states = made.backbone.stack.base(
        input_ids=torch.tensor([tokens]), attention_mask=mask, position_ids=torch.tensor([places]),
        token_type_ids=torch.tensor([[0] * past + [1] * (len(tokens) - past)]),
    ).last_hidden_state[0, past:]  # fmt: skip
    if made.head.all_tokens:
        return float(
            made.head(states[None, None], torch.ones(1, 1, len(states), dtype=torch.bool))[0, 0]
        )
    return float(made.head(states[0]))


@pytest.mark.parametrize("head", ["linear", "attention"])
def test_scores_equal_hugging_face_with_the_mask_spelled_out(head):
    made = scorer_model("bert", head=head, history_attention="per_item")
    histories = [[1, 2, 3, 9], [4], [], list(range(10, 20))]
    items = np.array([[5, 6], [7, 8], [21, 22], [23, 24]])
    with torch.inference_mode():
        together = made.score_items(
            made.read_history([made.layout.history(h) for h in histories]), items
        )
        alone = np.stack(
            [Scorer(made).scores(h, row) for h, row in zip(histories, items, strict=True)]
        )
        expected = np.array(
            [
                [spelled_out(made, h, i) for i in row]
                for h, row in zip(histories, items, strict=True)
            ]
        )
    np.testing.assert_allclose(together.numpy(), expected, atol=2e-4, rtol=1e-4)
    np.testing.assert_allclose(alone, expected, atol=2e-4, rtol=1e-4)
    assert np.ptp(expected) > 1e-2


def test_the_order_of_items_matters_and_what_an_item_is_does_not_depend_on_the_others():
    made = scorer_model("bert", history_attention="per_item")
    with torch.inference_mode():
        long, short = (made.read_history([made.layout.history(h)]) for h in ([7, 1, 2], [1, 2]))
        lead = len(made.layout.pieces[7])
        for whole, part in zip(
            (*long.keys, *long.values), (*short.keys, *short.values), strict=True
        ):
            torch.testing.assert_close(
                whole[..., 1 + lead :, :], part[..., 1:, :], atol=1e-5, rtol=1e-4
            )
        one, other = (Scorer(made).scores(h, np.array([5])) for h in ([1, 2, 3], [3, 2, 1]))
    assert abs(float(one[0] - other[0])) > 1e-4


def test_training_gives_finite_gradients_in_every_layer():
    made = scorer_model("bert", head="attention", history_attention="per_item")
    loss = (
        made(
            [made.layout.history(h) for h in ([1, 2, 3], [4], [])],
            np.array([[3, 8], [9, 4], [2, 7]]),
        )
        .square()
        .mean()
    )
    loss.backward()
    layers = {
        name: p.grad
        for name, p in made.named_parameters()
        if "encoder.layer" in name and p.ndim == 2
    }
    assert layers and all(torch.isfinite(grad).all() and grad.any() for grad in layers.values())


def test_positions_stay_within_the_context():
    made = scorer_model("bert", history_attention="per_item")
    tokens, mask = made.tensors([made.layout.history(list(range(10)))])
    for most in (40, 64, 512):
        made.layout.max_tokens = most
        placed = arrange(made.layout, tokens, mask)
        assert int(placed.positions.min()) >= 0 and int(placed.positions.max()) < most


def test_a_title_cannot_end_an_item():
    made = scorer_model("bert", history_attention="per_item")
    titles = ["Alien; the; film", "plain"]
    layout = PromptLayout(
        made.backbone.tokenizer,
        decoder=False,
        history_texts=titles,
        candidate_texts=titles,
        history_items=2,
        max_tokens=64,
    )
    assert layout.clean(titles[0]) == "Alien the film"
    assert [piece.count(layout.item_end) for piece in layout.pieces] == [1, 1]
    assert layout.pieces[0][-1] == layout.item_end


def test_decoders_are_refused_with_the_reason():
    with pytest.raises(UnsupportedError, match="for encoders"):
        scorer_model("llama", head="yes-no", history_attention="per_item")
