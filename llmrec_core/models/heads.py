"""What turns a backbone's state into one score.

Symbols: G histories (users), N candidates each, T candidate tokens, E width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.models.backbones import Backbone, StoredHead
from llmrec_core.models.label_words import label_tokens
from llmrec_core.models.list_layout import ANSWER, LETTER_WORDS
from llmrec_core.models.prompt_layout import DECODER

FRESH_SCALE = 0.02
"""Standard deviation of fresh weights."""
LABELS = (" Yes", " No")


class Head(nn.Module, ABC):
    """A score of states."""

    all_tokens = False
    """Whether all of a candidate's tokens are read, or one."""
    fresh = True
    """Whether its weights were drawn at random, so that scores mean nothing before training."""

    @abstractmethod
    def flops(self, rows: float, places: float) -> float:
        """FLOPs for `rows` candidates that take `places` places, padding included."""


class LinearHead(Head):
    """One weight vector on the state of the token at `read_at`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.out = nn.Linear(width, 1)
        nn.init.normal_(self.out.weight, std=FRESH_SCALE)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        """States (…, E) → scores (…)."""
        scores: Tensor = self.out(x).squeeze(-1)
        return scores

    def flops(self, rows: float, places: float) -> float:
        """See `Head.flops`."""
        return 2.0 * rows * self.width


class PoolerHead(LinearHead):
    """Dense and tanh before the weight vector: the head of BERT classifiers and of CrossEncoder."""

    def __init__(self, width: int, stored: StoredHead | None = None) -> None:
        """Make the head.

        Args:
            width: E.
            stored: weights of a classifier with one label that the folder brings; None draws fresh
                ones.
        """
        super().__init__(width)
        self.dense = nn.Linear(width, width)
        if stored is None:
            return
        self.fresh = False
        with torch.no_grad():
            self.dense.weight.copy_(stored.dense_weight)
            self.dense.bias.copy_(stored.dense_bias)
            self.out.weight.copy_(stored.weight)
            self.out.bias.copy_(stored.bias)

    def forward(self, x: Tensor) -> Tensor:
        """States (…, E) → scores (…)."""
        return super().forward(torch.tanh(self.dense(x)))

    def flops(self, rows: float, places: float) -> float:
        """See `Head.flops`."""
        return super().flops(rows, places) + 2.0 * rows * self.width**2


class AttentionHead(LinearHead):
    """Attention pooling over the candidate's tokens, then the weight vector.

    It starts as the mean of the tokens.
    """

    all_tokens = True

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.focus = nn.Linear(width, 1)
        nn.init.zeros_(self.focus.weight)
        nn.init.zeros_(self.focus.bias)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]  # it reads all tokens
        """States (G, N, T, E) and mask (G, N, T) → scores (G, N)."""
        weights = self.focus(x).squeeze(-1).masked_fill(~mask, float("-inf")).softmax(dim=-1)
        return super().forward((weights.unsqueeze(-2) @ x).squeeze(-2))

    def flops(self, rows: float, places: float) -> float:
        """See `Head.flops`."""
        return super().flops(rows, places) + 4.0 * places * self.width


class YesNoHead(Head):
    """Logit of Yes minus logit of No at the last token.

    Only those two rows of the output matrix are read, which belongs to the backbone.
    """

    fresh = False

    def __init__(self, output: nn.Linear, yes: int, no: int) -> None:
        super().__init__()
        self._output = [output]  # in a list, so that its weights are not counted as the head's
        self.width: int = output.in_features
        self.yes, self.no = yes, no

    def forward(self, x: Tensor) -> Tensor:
        """States (…, E) → scores (…)."""
        output = self._output[0]
        rows = output.weight[[self.yes, self.no]]
        scores: Tensor = x @ (rows[0] - rows[1])
        if output.bias is not None:
            scores = scores + output.bias[self.yes] - output.bias[self.no]
        return scores

    def flops(self, rows: float, places: float) -> float:
        """See `Head.flops`."""
        return 2.0 * rows * self.width


class LettersHead(Head):
    """Logits of the letters that candidates stand under, at the last token of a whole list.

    Only those rows of the output matrix are read, which belongs to the backbone.

    Source: LlamaRec's verbalizer (arXiv:2311.02089, section 3.3).
    """

    fresh = False

    def __init__(self, output: nn.Linear, letters: Sequence[int]) -> None:
        super().__init__()
        self._output = [output]  # in a list, so that its weights are not counted as the head's
        self.width: int = output.in_features
        self.letters = list(letters)

    def forward(self, x: Tensor) -> Tensor:
        """States (…, E) → logits (…, letters)."""
        output = self._output[0]
        logits: Tensor = x @ output.weight[self.letters].T
        return logits if output.bias is None else logits + output.bias[self.letters]

    def flops(self, rows: float, places: float) -> float:
        """See `Head.flops`; a row is a list."""
        return 2.0 * rows * self.width * len(self.letters)


def build_head(kind: str, backbone: Backbone) -> Head:
    """The head of a backbone.

    Args:
        kind: `linear`, `pooler`, `attention`, `yes-no` or `letters`. A folder's own classifier with
            one label is what `pooler` takes.
        backbone: whose states it reads.

    Raises:
        UnsupportedError: for `yes-no` and `letters` on an encoder, or with a tokenizer that has no
            one token for Yes and for No, or for each letter.
    """
    stack = backbone.stack
    width = int(stack.config.hidden_size)
    if kind == "linear":
        return LinearHead(width)
    if kind == "attention":
        return AttentionHead(width)
    if kind == "pooler":
        stored = backbone.stored_head
        return PoolerHead(width, stored if stored is not None and stored.labels == 1 else None)
    if stack.lm_head is None:
        raise UnsupportedError(
            t(
                "head {head!r} needs a decoder; an encoder takes head 'linear' or 'attention'",
                head=kind,
            )
        )
    if kind == "letters":
        return LettersHead(stack.lm_head, label_tokens(backbone.tokenizer, ANSWER, LETTER_WORDS))
    yes, no = label_tokens(backbone.tokenizer, DECODER.candidate_end, LABELS)
    return YesNoHead(stack.lm_head, yes, no)
