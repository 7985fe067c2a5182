"""Text embeddings of a catalogue: as the backbone's folder declares them, kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from llmrec_core.files import write_atomic
from llmrec_core.models.backbones import Backbone, load_backbone
from llmrec_core.models.model_folder import identity_of
from llmrec_core.models.packed import read_whole
from llmrec_core.models.prompt_layout import pad
from llmrec_core.models.sentence_modules import Recipe, recipe_of
from llmrec_core.scoring.scorer import chunks

if TYPE_CHECKING:
    from llmrec_core.settings import Settings

BATCH_TOKENS = 2048
EMBEDDING_RULE = 2
"""Version of this code: another one makes other vectors, so that kept ones are not read."""


@torch.inference_mode()
def embed_texts(
    backbone: Backbone,
    texts: Sequence[str],
    progress: Callable[[int, int], None] | None = None,
    *,
    unit: bool = False,
) -> np.ndarray:
    """Vectors of texts, as sentence-transformers makes them of the same folder.

    Args:
        backbone: whose folder says how (models/sentence_modules.py).
        texts: at least one.
        progress: called with texts done and total.
        unit: give every vector the length 1, also where the folder's likeness is the dot product.

    Returns:
        float32, shape (texts, width).
    """
    encoder = TextEncoder(backbone, texts, unit=unit)
    vectors: list[np.ndarray] = []
    order: list[np.ndarray] = []
    done = 0
    for chunk in encoder.passes(np.arange(len(texts))):
        vectors.append(encoder.vectors(chunk).cpu().numpy())
        order.append(chunk)
        done += len(chunk)
        if progress:
            progress(done, len(texts))
    joined = np.concatenate(vectors)
    result = np.empty_like(joined)
    result[np.concatenate(order)] = joined
    return result


class TextEncoder:
    """Texts with what makes vectors of them; it reads some at a time, with gradients or without."""

    def __init__(self, backbone: Backbone, texts: Sequence[str], *, unit: bool = False) -> None:
        """Turn the texts into tokens.

        Args:
            backbone: whose folder says how (models/sentence_modules.py).
            texts: at least one.
            unit: as for `embed_texts`.
        """
        self.backbone, self.recipe = backbone, recipe_of(backbone)
        self.rows, self._prompt_tokens = _tokens(backbone.tokenizer, self.recipe, texts)
        self.lengths = np.array([len(row) for row in self.rows])
        """Tokens of each text."""
        self._to_unit = not self.recipe.unit and (unit or self.recipe.similarity == "cosine")

    def passes(self, places: np.ndarray) -> list[np.ndarray]:
        """The texts at these places in passes of like length, none of too many tokens."""
        return [places[rows] for rows in chunks(self.lengths[places], BATCH_TOKENS)]

    def vectors(self, places: np.ndarray) -> Tensor:
        """Vectors of the texts at these places in one pass, float32, shape (places, width)."""
        device = next(self.backbone.module.parameters()).device
        padded = pad([self.rows[place] for place in places])
        tokens, mask = (torch.from_numpy(part).to(device) for part in padded)
        states = read_whole(self.backbone.stack, tokens, mask, torch.zeros_like(tokens))
        pooled = self.recipe.pool(states, mask, self._prompt_tokens)
        if self._to_unit:
            pooled = torch.nn.functional.normalize(pooled, dim=-1)
        return pooled.float()


def _tokens(
    tokenizer: Any,  # noqa: ANN401 - tokenizers share no useful type
    recipe: Recipe,
    texts: Sequence[str],
) -> tuple[list[list[int]], int]:
    """Token ids of each text with its prompt, and how many of the first are the prompt's."""

    def ids(some: Sequence[str]) -> list[list[int]]:
        if recipe.lower_case:
            from tokenizers.normalizers import Lowercase

            lower = Lowercase()
            some = [lower.normalize_str(text) for text in some]
        rows: list[list[int]] = tokenizer(
            list(some),
            add_special_tokens=recipe.special_tokens,
            truncation=True,
            max_length=recipe.max_tokens,
        )["input_ids"]
        return rows

    rows = [
        row or [tokenizer.eos_token_id or 0]
        for row in ids([recipe.prompt + text for text in texts])
    ]
    if not recipe.prompt:
        return rows, 0
    (prompt,) = ids([recipe.prompt])
    return rows, len(prompt) - (prompt[-1] in tokenizer.all_special_ids)


def catalogue_embeddings(
    name: str,
    texts: Sequence[str],
    settings: Settings,
    *,
    depth: int = 0,
    identity: str = "",
    unit: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """As `embed_texts`, kept under `HOME/embeddings` by what makes them.

    The key holds the identity of the backbone's files, so that vectors of other weights that once
    stood in the same folder are not read.

    Args:
        name: of the backbone.
        texts: of the catalogue.
        settings: where downloads and kept vectors stand.
        depth: layers kept, from the first; 0 keeps all.
        identity: of the backbone, where the caller has asked for it; of a Hugging Face id, the
            commit that is meant.
        unit: as for `embed_texts`.
        progress: called with texts done and total.
    """
    identity = identity or identity_of(name, settings)
    made_of = json.dumps([EMBEDDING_RULE, identity, depth, unit, *texts])
    key = hashlib.sha256(made_of.encode()).hexdigest()[:24]
    path = settings.home / "embeddings" / f"{key}.npy"
    if path.exists():
        kept: np.ndarray = np.load(path, allow_pickle=False)
        return kept
    backbone = load_backbone(name, settings, depth=depth, identity=identity)
    vectors: np.ndarray = embed_texts(backbone, texts, progress, unit=unit)
    write_atomic(path, lambda file: np.save(file, vectors))
    return vectors
