"""A causal transformer that reads items as sets of codes and foretells all codes of the next.

An item goes in as the sum of its codes' vectors. Each code is foretold by a head of its own, which
compares the state with the vectors of that code's C centroids, by the cosine over a temperature;
vectors are tied between input and output. Given the history, codes are taken as independent of
each other, so that the logarithm of an item's probability is a sum of look-ups and every item of
the catalogue has an exact score. Items that share all codes have one more code, their place in the
group: its probabilities are a softmax over the places that this group has.

Source: Hou et al. 2025 (RPG, arXiv:2506.05781), sections 3.2 and 3.3; the code for places and the
exact score are ours, the paper searches a graph of items.

Symbols: B sequences, T items of the longest, E width; N items, m codes of an item, C centroids of
each, G items of the largest group; P states that ask.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from llmrec_core.models.product_codes import Groups
from llmrec_core.models.sasrec_model import causal_blocks, read_causally

SCALE = 0.02
"""Standard deviation of fresh vectors of codes and positions."""


class CodesModel(nn.Module):
    """Vectors of codes, positions, causal blocks and a head for each code."""

    codes: Tensor
    """Rows of `code_vectors` that make up each item, int64, shape (N + 1, m + 1); the last is
    padding."""
    sizes: Tensor
    """Items of each item's group, int64, shape (N,)."""

    def __init__(
        self,
        items: int,
        codes: int,
        codebook: int,
        largest_group: int,
        length: int,
        width: int,
        layers: int,
        heads: int,
        dropout: float,
        temperature: float,
    ) -> None:
        """Draw fresh weights from torch's generator; `set_codes` says what the items are.

        Args:
            items: N, of the catalogue.
            codes: m, of an item.
            codebook: C, centroids of each code.
            largest_group: G.
            length: most recent items that are read.
            width: E, of every vector; a multiple of `heads`.
            layers: number of blocks.
            heads: of attention.
            dropout: of inputs and blocks, in training only.
            temperature: by which a cosine is divided.
        """
        super().__init__()
        self.items, self.digits, self.codebook, self.places = items, codes, codebook, largest_group
        self.temperature = temperature
        self.register_buffer("codes", torch.zeros(items + 1, codes + 1, dtype=torch.int64))
        self.register_buffer("sizes", torch.ones(items, dtype=torch.int64))
        self.code_vectors = nn.Embedding(codes * codebook + largest_group, width)
        self.positions = nn.Embedding(length, width)
        nn.init.normal_(self.code_vectors.weight, std=SCALE)
        nn.init.normal_(self.positions.weight, std=SCALE)
        self.turns = nn.Parameter(torch.zeros(codes + 1, width, width))
        """Of each head: what it adds to the state, first nothing."""
        self.blocks = causal_blocks(width, layers, heads, dropout)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def set_codes(self, codes: Tensor, groups: Groups) -> None:
        """Say of which codes the items are made.

        Args:
            codes: int64, shape (N, m).
            groups: of these codes; a place beyond G counts as the last one.
        """
        firsts = self.codebook * torch.arange(self.digits + 1)
        places = torch.from_numpy(groups.places).clamp(max=self.places - 1)
        self.codes[:-1] = torch.cat((codes, places[:, None]), dim=1) + firsts
        self.sizes[:] = torch.from_numpy(groups.sizes).clamp(max=self.places)

    def forward(self, sequences: Tensor) -> Tensor:
        """States after each item.

        Args:
            sequences: item codes, right-padded, shape (B, T).

        Returns:
            Shape (B, T, E).
        """
        rows = self.codes[sequences.flatten()]
        vectors = functional.embedding_bag(rows, self.code_vectors.weight, mode="sum")
        scale = (vectors.shape[1] / rows.shape[1]) ** 0.5  # as large as one vector of SASRec
        x = scale * vectors.view(*sequences.shape, -1) + self.positions.weight[: sequences.shape[1]]
        states: Tensor = self.norm(read_causally(self.blocks, self.dropout(x)))
        return states

    def logits(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """What each head says of its codes.

        Args:
            states: shape (P, E).

        Returns:
            Of the codes, shape (m, P, C), and of the places in a group, shape (P, G).
        """
        asked = states + functional.silu(torch.matmul(states, self.turns))  # (m + 1, P, E)
        asked = functional.normalize(asked, dim=-1) / self.temperature
        answers = functional.normalize(self.code_vectors.weight, dim=-1)
        of_codes = answers[: self.digits * self.codebook].view(self.digits, self.codebook, -1)
        of_places = answers[self.digits * self.codebook :]
        return torch.bmm(asked[:-1], of_codes.transpose(1, 2)), asked[-1] @ of_places.T

    def loss(self, states: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of the targets' codes, a mean over the states and the codes.

        Args:
            states: shape (P, E).
            targets: item codes, shape (P,).
        """
        of_codes, of_places = self.logits(states)
        right = self.codes[targets].T - self.codebook * torch.arange(
            self.digits + 1, device=targets.device
        ).unsqueeze(1)  # (m + 1, P)
        total = functional.cross_entropy(
            of_codes.flatten(0, 1), right[:-1].flatten(), reduction="sum"
        )
        shared = self.sizes[targets] > 1
        if bool(shared.any()):
            places, sizes = right[-1][shared, None], self.sizes[targets][shared, None]
            among = of_places[shared].logcumsumexp(dim=1).gather(1, sizes - 1)
            total = total + (among - of_places[shared].gather(1, places)).sum()
        return total / (len(targets) * (self.digits + 1))

    def table(self, states: Tensor) -> Tensor:
        """All that a score is a sum of, shape (P, m · C + 2 G).

        Logarithms of the probability of each code, then the logits of the places, then the
        negative logarithm of the sum over the first place, the first two, …

        Args:
            states: shape (P, E).
        """
        of_codes, of_places = self.logits(states)
        logs = of_codes.log_softmax(dim=-1).transpose(0, 1).flatten(1)
        return torch.cat((logs, of_places, -of_places.logcumsumexp(dim=1)), dim=1)

    def summands(self) -> Tensor:
        """Which columns of `table` make up each item's score, int64, shape (N, m + 2)."""
        last = self.digits * self.codebook + self.places - 1
        return torch.cat((self.codes[:-1], (last + self.sizes)[:, None]), dim=1)


def scores_of_all(table: Tensor, summands: Tensor) -> Tensor:
    """The score of every item of the catalogue, shape (P, N).

    Args:
        table: what `CodesModel.table` returns, shape (P, m · C + 2 G).
        summands: what `CodesModel.summands` returns, shape (N, m + 2).
    """
    if len(table) == 1:  # bags of single values take many times as long
        picked = table[0].index_select(0, summands.flatten())
        return picked.view(summands.shape).sum(dim=1)[None]
    return functional.embedding_bag(summands, table.T.contiguous(), mode="sum").T


def scores_of(table: Tensor, summands: Tensor) -> Tensor:
    """The scores of everybody's own candidates, shape (P, K).

    Args:
        table: as for `scores_of_all`.
        summands: those of the candidates, shape (P, K, m + 2).
    """
    return table.gather(1, summands.flatten(1)).view(summands.shape).sum(dim=-1)
