"""Tiny scorer models of every architecture, and the slow way to the same numbers: Hugging Face, one pair at a time."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import torch

from llmrec_core.models.backbones import Backbone, load_backbone
from llmrec_core.models.prompt_layout import PromptLayout
from llmrec_core.models.scorer_model import ScorerModel
from llmrec_core.settings import load_settings
from tests.tiny import WORDS, tiny_backbone

torch.set_num_threads(1)  # 32-wide products: a second thread only waits for the first
KINDS = ("bert", "llama", "qwen2", "gpt2", "gpt_neox")
ITEMS = 40
LOUDER = 4.0
"""Fresh weights are so small that every score is nearly 0; multiplied, a wrong mask moves a score by far more than 1e-4."""


@functools.cache
def folder(kind: str) -> Path:
    """A model folder, made once per test session."""
    return tiny_backbone(Path(tempfile.mkdtemp(prefix="llmrec-tiny-")) / kind, kind)


def backbone(kind: str, *, depth: int = 0) -> Backbone:
    """A backbone of its own, loaded the way the product loads one, with louder weights."""
    loaded = load_backbone(str(folder(kind)), load_settings(), depth=depth)
    with torch.no_grad():
        for parameter in loaded.module.parameters():
            if parameter.ndim > 1:
                parameter.mul_(LOUDER)
    return loaded


def scorer_model(
    kind: str, *, head: str = "", history_attention: str = "shared", items: int = ITEMS
) -> ScorerModel:
    """A scorer over a catalogue of titles of one to six words."""
    loaded = backbone(kind)
    rng = np.random.default_rng(5)
    titles = [" ".join(rng.choice(WORDS, rng.integers(1, 7))) for _ in range(items)]
    layout = PromptLayout(
        loaded.tokenizer,
        decoder=loaded.decoder,
        history_texts=titles,
        candidate_texts=titles,
        history_items=10,
        max_tokens=loaded.stack.max_tokens,
    )
    torch.manual_seed(1)
    made = ScorerModel(
        loaded, layout, head=head or "linear", history_attention=history_attention
    ).eval()
    if made.head_kind != "yes-no":
        with torch.no_grad():
            made.head.out.weight.mul_(10 * LOUDER)
    return made


def separate_states(made: Backbone, history: list[int], candidate: list[int]) -> torch.Tensor:
    """States (T, E) of one candidate after one history, from the Hugging Face model and one ordinary sequence.

    An encoder gets the mask of mode `shared`: history tokens do not look at the candidate.
    """
    tokens = torch.tensor([history + candidate])
    past, whole = len(history), len(history) + len(candidate)
    if made.decoder:
        return made.stack.base(input_ids=tokens).last_hidden_state[0, past:]
    mask = torch.ones(1, 1, whole, whole, dtype=torch.bool)
    mask[..., :past, past:] = False
    types = torch.tensor([[0] * past + [1] * len(candidate)])
    return made.stack.base(
        input_ids=tokens, attention_mask=mask, token_type_ids=types
    ).last_hidden_state[0, past:]


def separate_scores(
    made: ScorerModel, histories: list[list[int]], items: np.ndarray
) -> torch.Tensor:
    """Scores (G, N) of mode `shared`, every pair in a sequence of its own."""
    rows = []
    for history, offered in zip(histories, items, strict=True):
        for item in offered:
            states = separate_states(made.backbone, history, made.layout.candidates[item])
            if made.head.all_tokens:
                rows.append(
                    made.head(states[None, None], torch.ones(1, 1, len(states), dtype=torch.bool))[
                        0, 0
                    ]
                )
            else:
                rows.append(made.head(states[-1 if made.backbone.decoder else 0]))
    return torch.stack(rows).view(items.shape)
