"""Two towers over one language model: of each item a vector that asks and one that answers.

Both are linear maps of the item's text vector, so that a history asks with the sum of its items'
asking vectors and a candidate's score is one product. Source of the two-tower form: Yi et al.,
"Sampling-bias-corrected neural modeling", RecSys 2019; the maps start as the identity, so that the
untrained towers order candidates by the cosine.

Symbols: n items, E width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from llmrec_core.models.backbones import Backbone
from llmrec_core.scoring.embeddings import TextEncoder

ENCODED_TOGETHER = 1024
"""Items whose texts are sorted by length and read in passes."""


@dataclass(frozen=True)
class Tables:
    """Vectors of a catalogue; all that answering a request takes."""

    asks: np.ndarray
    """Of the items as part of a history, float32, shape (items, E)."""
    answers: np.ndarray
    """Of the items as candidates, float32, shape (items, E)."""


class Maps(nn.Module):
    """What turns a text vector into an asking and an answering one."""

    def __init__(self, width: int, temperature: float) -> None:
        """Start both as the identity.

        Args:
            width: E.
            temperature: asking vectors are divided by it.
        """
        super().__init__()
        self.temperature = temperature
        self.ask = nn.Linear(width, width, bias=False)
        self.answer = nn.Linear(width, width, bias=False)
        nn.init.eye_(self.ask.weight)
        nn.init.eye_(self.answer.weight)

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Asking and answering vectors (n, E) of text vectors (n, E)."""
        return self.ask(vectors) / self.temperature, self.answer(vectors)


class FrozenTowers(nn.Module):
    """Text vectors that were made once; training moves the maps alone."""

    def __init__(self, vectors: np.ndarray, temperature: float) -> None:
        """Keep the vectors.

        Args:
            vectors: of the items' texts, float32, shape (items, E).
            temperature: see `Maps`.
        """
        super().__init__()
        self.register_buffer("vectors", torch.from_numpy(vectors), persistent=False)
        self.head = Maps(vectors.shape[1], temperature)

    def forward(self, items: np.ndarray) -> tuple[Tensor, Tensor]:
        """Asking and answering vectors (n, E) of item codes (n,)."""
        both: tuple[Tensor, Tensor] = self.head(
            self.vectors[torch.from_numpy(items).to(self.vectors.device)]
        )
        return both


class Towers(nn.Module):
    """Texts are read by the language model at every step, whose weights training moves."""

    head_kind = "maps"

    def __init__(
        self, backbone: Backbone, texts: list[str], width: int, temperature: float
    ) -> None:
        """Put the parts together.

        Args:
            backbone: read by reference.
            texts: of the items, in the order of their codes.
            width: E, of the backbone's text vectors.
            temperature: see `Maps`.
        """
        super().__init__()
        self.backbone = backbone
        self.language_model = backbone.module
        self.encoder = TextEncoder(backbone, texts, unit=True)
        self.head = Maps(width, temperature)

    def forward(self, items: np.ndarray) -> tuple[Tensor, Tensor]:
        """Asking and answering vectors (n, E) of distinct item codes (n,)."""
        passes = self.encoder.passes(items)
        read = torch.cat([self.encoder.vectors(some) for some in passes])
        back = np.argsort(np.concatenate([np.searchsorted(items, some) for some in passes]))
        both: tuple[Tensor, Tensor] = self.head(read[torch.from_numpy(back).to(read.device)])
        return both


@torch.inference_mode()
def encode(
    model: FrozenTowers | Towers, items: int, progress: Callable[[int, int], None] | None = None
) -> Tables:
    """Vectors of the whole catalogue.

    Args:
        model: in eval mode.
        items: how many there are.
        progress: called with items done and total.
    """
    asks: list[np.ndarray] = []
    answers: list[np.ndarray] = []
    for start in range(0, items, ENCODED_TOGETHER):
        codes = np.arange(start, min(start + ENCODED_TOGETHER, items))
        ask, answer = model(codes)
        asks.append(ask.cpu().numpy())
        answers.append(answer.cpu().numpy())
        if progress:
            progress(int(codes[-1]) + 1, items)
    return Tables(np.concatenate(asks), np.concatenate(answers))
