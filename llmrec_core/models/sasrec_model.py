"""SASRec: a causal transformer over item ids.

Source: Kang & McAuley 2018 (arXiv:1808.09781). Item vectors are tied between input and output.
Where items have text, an item's vector is its id vector plus a learned projection of its frozen
language-model embedding, so that an item nobody has taken yet still has a vector.

Symbols: B sequences, T items of the longest, E width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

ID_SCALE, TEXT_SCALE = 0.02, 0.05
"""Standard deviations of fresh id vectors and of the fresh projection of texts."""


class SasRecModel(nn.Module):
    """Item vectors, positions and causal blocks. Item code `items` is padding."""

    def __init__(
        self,
        items: int,
        length: int,
        width: int,
        layers: int,
        heads: int,
        dropout: float,
        text: Tensor | None,
    ) -> None:
        """Draw fresh weights from torch's generator.

        Args:
            items: of the catalogue.
            length: most recent items that are read.
            width: E, of every vector; a multiple of `heads`.
            layers: number of blocks.
            heads: of attention.
            dropout: of inputs and blocks, in training only.
            text: embeddings of the items, shape (items, any width); None for ids alone.
        """
        super().__init__()
        self.items = items
        self.ids = nn.Embedding(items + 1, width, padding_idx=items)
        self.positions = nn.Embedding(length, width)
        nn.init.normal_(self.ids.weight, std=ID_SCALE)
        nn.init.normal_(self.positions.weight, std=ID_SCALE)
        with torch.no_grad():
            self.ids.weight[items].zero_()
        self.text: nn.Linear | None = None
        if text is not None:
            padded = torch.cat((text, torch.zeros(1, text.shape[1])))
            self.register_buffer("text_vectors", padded, persistent=True)
            self.text = nn.Linear(text.shape[1], width, bias=False)
            nn.init.normal_(self.text.weight, std=TEXT_SCALE)
        self.blocks = causal_blocks(width, layers, heads, dropout)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def vectors(self) -> Tensor:
        """Vectors of the whole catalogue and of padding, shape (items + 1, E)."""
        ids: Tensor = self.ids.weight
        return ids if self.text is None else ids + self.text(self.text_vectors)

    def forward(self, sequences: Tensor, table: Tensor) -> Tensor:
        """States after each item.

        Args:
            sequences: item codes, right-padded, shape (B, T).
            table: what `vectors` returns.

        Returns:
            Shape (B, T, E).
        """
        length = sequences.shape[1]
        x = table[sequences] * table.shape[1] ** 0.5 + self.positions.weight[:length]
        states: Tensor = self.norm(read_causally(self.blocks, self.dropout(x)))
        return states


def causal_blocks(width: int, layers: int, heads: int, dropout: float) -> nn.TransformerEncoder:
    """Fresh transformer blocks, which `read_causally` runs.

    Args:
        width: E; a multiple of `heads`.
        layers: number of blocks.
        heads: of attention.
        dropout: in training only.
    """
    layer = nn.TransformerEncoderLayer(
        width, heads, 4 * width, dropout, activation="gelu", batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


def read_causally(blocks: nn.TransformerEncoder, inputs: Tensor) -> Tensor:
    """States in which each place has seen itself and those before it, shape (B, T, E).

    Args:
        blocks: made by `causal_blocks`.
        inputs: shape (B, T, E).
    """
    mask = nn.Transformer.generate_square_subsequent_mask(inputs.shape[1], device=inputs.device)
    states: Tensor = blocks(inputs, mask=mask, is_causal=True)
    return states
