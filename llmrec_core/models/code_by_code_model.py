"""A causal transformer that reads a history code by code and foretells the next code.

Every place of the sequence foretells one code: it knows which (the item's place and the level) and
what stood before it. Vectors of codes are tied between input and output; the probability of a code
is a softmax over the codebook of its level. The last code of an item is its place among the items
that share all others, 0 for one alone, so that every item has a row of codes of its own.

Source: TIGER (Rajput et al. 2023, arXiv:2305.05065). The paper reads a history with an encoder and
writes one item with a decoder. Here one causal model does both, so that a pass over a history
learns every code of every item in it, not only those of the last: that is what makes it trainable
on a CPU. The paper's token for the person is left out, as people are known by their history alone.

Symbols: B sequences, T items of the longest, E width; N items, m levels, C centroids of each, G
items of the largest group, D = m + 1 codes of an item; K beams.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from llmrec_core.models.cached_blocks import Memory, read_history, read_next
from llmrec_core.models.product_codes import Groups
from llmrec_core.models.sasrec_model import causal_blocks, read_causally

SCALE = 0.02
"""Standard deviation of fresh vectors of codes and positions."""


class CodeByCodeModel(nn.Module):
    """Vectors of codes, of an item's place and of levels, causal blocks and a softmax a level."""

    codes: Tensor
    """Rows of `code_vectors` of each item, int64, shape (N + 1, D); the last is padding."""

    def __init__(
        self,
        items: int,
        levels: int,
        codebook: int,
        largest_group: int,
        length: int,
        width: int,
        layers: int,
        heads: int,
        dropout: float,
    ) -> None:
        """Draw fresh weights from torch's generator; `set_codes` says what the items are.

        Args:
            items: N, of the catalogue.
            levels: m, codes of an item beside its place in a group.
            codebook: C, centroids of each level.
            largest_group: G.
            length: most recent items that are read.
            width: E, of every vector; a multiple of `heads`.
            layers: number of blocks.
            heads: of attention.
            dropout: of inputs and blocks, in training only.
        """
        super().__init__()
        self.items, self.digits, self.codebook, self.places = (
            items,
            levels + 1,
            codebook,
            largest_group,
        )
        self.register_buffer("codes", torch.zeros(items + 1, levels + 1, dtype=torch.int64))
        self.code_vectors = nn.Embedding(levels * codebook + largest_group, width)
        self.start = nn.Parameter(torch.zeros(width))
        self.positions = nn.Embedding(length + 1, width)
        self.levels = nn.Embedding(levels + 1, width)
        for table in (self.code_vectors, self.positions, self.levels):
            nn.init.normal_(table.weight, std=SCALE)
        self.blocks = causal_blocks(width, layers, heads, dropout)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def set_codes(self, codes: Tensor, groups: Groups) -> None:
        """Say of which codes the items are made.

        Args:
            codes: int64, shape (N, m).
            groups: of these codes; a place beyond G counts as the last one, so that such items
                share all their codes and every score.
        """
        firsts = self.codebook * torch.arange(self.digits)
        places = torch.from_numpy(groups.places).clamp(max=self.places - 1)
        self.codes[:-1] = torch.cat((codes, places[:, None]), dim=1) + firsts

    def item_codes(self) -> Tensor:
        """The codes of each item as numbers within their levels, int64, shape (N, D)."""
        return self.codes[:-1] - self.codebook * torch.arange(self.digits, device=self.codes.device)

    def forward(self, sequences: Tensor) -> Tensor:
        """States that foretell the codes of each item from what stands before them.

        Args:
            sequences: item codes, right-padded, shape (B, T).

        Returns:
            Shape (B, T, D, E).
        """
        x = self._inputs(sequences)[:, : sequences.shape[1] * self.digits]
        states: Tensor = self.norm(read_causally(self.blocks, self.dropout(x)))
        return states.unflatten(1, (sequences.shape[1], self.digits))

    def _inputs(self, sequences: Tensor) -> Tensor:
        """What stands before each code, and before the first one of a further item.

        Args:
            sequences: shape (B, T).

        Returns:
            Shape (B, T · D + 1, E).
        """
        batch, items = sequences.shape
        before = self._scaled(self.codes[sequences].flatten(1))
        before = torch.cat((self.start.expand(batch, 1, -1), before), dim=1)
        places = self.positions.weight[: items + 1, None] + self.levels.weight
        places = places.flatten(0, 1)[: before.shape[1]]
        # a training sequence as long as can be has no position after it, and none is asked for
        return before[:, : len(places)] + places

    def _scaled(self, rows: Tensor) -> Tensor:
        """Vectors of codes as they go in, as large as SASRec's."""
        vectors: Tensor = self.code_vectors(rows) * self.code_vectors.embedding_dim**0.5
        return vectors

    def logits(self, states: Tensor, level: int) -> Tensor:
        """What states say of the codes of one level.

        Args:
            states: shape (…, E).
            level: from 0; the last one is of places in a group.

        Returns:
            Shape (…, C), or (…, G) at the last level.
        """
        return states @ self._codebooks()[level].T

    def _codebooks(self) -> list[Tensor]:
        return list(self.code_vectors.weight.split(self._sizes()))

    def _sizes(self) -> list[int]:
        return [self.codebook] * (self.digits - 1) + [self.places]

    def loss(self, sequences: Tensor, real: Tensor) -> Tensor:
        """Cross-entropy of every code of every real item, a mean over those codes.

        Args:
            sequences: item codes, right-padded, shape (B, T).
            real: whether an item stands there, bool, shape (B, T).
        """
        states, items = self(sequences)[real], sequences[real]  # (P, D, E), (P,)
        right = self.codes[items] - self.codebook * torch.arange(self.digits, device=items.device)
        losses = (
            functional.cross_entropy(
                self.logits(states[:, level], level), right[:, level], reduction="sum"
            )
            for level in range(self.digits)
        )
        return torch.stack(list(losses)).sum() / (len(items) * self.digits)

    def log_probabilities(self, sequences: Tensor) -> Tensor:
        """Logarithm of the probability of each item of a sequence after those before it.

        The plain way, which reads every sequence whole; `read` and `write` give the same.

        Args:
            sequences: item codes, shape (B, T).

        Returns:
            Shape (B, T).
        """
        states, right = self(sequences), self.item_codes()[sequences]
        logs = [
            self.logits(states[:, :, level], level)
            .log_softmax(dim=-1)
            .gather(2, right[:, :, level, None])[:, :, 0]
            for level in range(self.digits)
        ]
        return torch.stack(logs).sum(dim=0)

    def read(self, sequences: Tensor, lengths: Tensor) -> tuple[Tensor, Memory]:
        """Read histories once: the first code of the next item, and what to go on from.

        Args:
            sequences: item codes, right-padded, shape (B, T).
            lengths: real items of each, int64, shape (B,).

        Returns:
            Logarithms of the probabilities of the first code, shape (B, 1, C), and the memory.
        """
        x = self._inputs(sequences)
        state, memory = read_history(self.blocks, x, lengths * self.digits)
        return self._logs(state[:, None], 0), memory

    def write(self, codes: Tensor, level: int, lengths: Tensor, memory: Memory) -> Tensor:
        """Write one code after each beam and foretell the next.

        Args:
            codes: of the level before, int64, shape (B, K).
            level: of the code that is foretold, from 1.
            lengths: as for `read`.
            memory: of what these beams stand on; it then holds the code too.

        Returns:
            Logarithms of its probabilities, shape (B, K, C), or (B, K, G) at the last level.
        """
        x = self._scaled(codes + self.codebook * (level - 1)) + self.levels.weight[level]
        x = x + self.positions.weight[lengths][:, None]
        return self._logs(read_next(self.blocks, x, memory), level)

    def _logs(self, states: Tensor, level: int) -> Tensor:
        return self.logits(self.norm(states), level).log_softmax(dim=-1)
