"""A neural recommender with layers drawn anew, for the randomisation check."""

from __future__ import annotations

import copy

import torch

from llmrec_core.contract.recommender import Neural, Recommender
from llmrec_core.errors import UsageError
from llmrec_core.language import t

VECTORS = ("word_embeddings", "embed_tokens", "wte", "embed_in")
"""Names of token vectors in BERT, Llama and Qwen2, GPT-2, GPT-NeoX."""
ITEM_VECTORS = ("ids", "code_vectors")
"""Beginnings of the names of the vectors of SASRec's items and of parallel and generated codes."""
SPREAD = 0.02
"""Standard deviation of weights whose own spread says nothing: biases and single numbers."""


def randomised(recommender: Recommender, *, seed: int = 0) -> Recommender:
    """A copy whose layers, positions and head are drawn anew; vectors of tokens or items stay.

    An explanation that looks the same for it is not about what the model learned (Adebayo et al.,
    arXiv:1810.03292).

    Args:
        recommender: a neural one, or a cascade whose reader is.
        seed: of the draw.

    Raises:
        UsageError: for a recommender without layers.
    """
    if not isinstance(recommender, Neural):
        raise UsageError(
            t("only neural models have layers to randomise; this recommender has none")
        )
    network = copy.deepcopy(recommender.network())
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if any(part in name for part in VECTORS) or name.startswith(ITEM_VECTORS):
                continue
            fresh = torch.randn(parameter.shape, generator=generator).to(parameter)
            if parameter.ndim >= 2:
                own = parameter.float().std() if parameter.numel() > 1 else torch.tensor(SPREAD)
                parameter.copy_(fresh * own)
            elif "norm" not in name.lower():
                parameter.copy_(fresh * SPREAD)
    return recommender.with_network(network)
