"""What turns a backbone's state into one score."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from llmrec_core.errors import UnsupportedError
from llmrec_core.models.architectures import Stack


class LinearHead(nn.Module):
    """One weight vector on the state of the token at `read_at`."""

    all_tokens = False

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out = nn.Linear(width, 1)
        nn.init.normal_(self.out.weight, std=0.02)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x).squeeze(-1)


class PoolerHead(LinearHead):
    """Dense + tanh before the weight vector: the head of BERT sequence classifiers and of CrossEncoder."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.dense = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.tanh(self.dense(x)))


class AttentionHead(LinearHead):
    """Attention pooling over the candidate's tokens, then the weight vector. Starts as the mean of the tokens."""

    all_tokens = True

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.focus = nn.Linear(width, 1)
        nn.init.zeros_(self.focus.weight)
        nn.init.zeros_(self.focus.bias)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        """x (G, N, T, E), mask (G, N, T) → (G, N)."""
        weights = self.focus(x).squeeze(-1).masked_fill(~mask, float("-inf")).softmax(dim=-1)
        return super().forward((weights.unsqueeze(-2) @ x).squeeze(-2))


class YesNoHead(nn.Module):
    """Logit of " Yes" minus logit of " No" at the last token; only those two rows of the output matrix are read."""

    all_tokens = False

    def __init__(self, stack: Stack, yes: int, no: int) -> None:
        super().__init__()
        if stack.lm_head is None:
            raise UnsupportedError("head 'yes-no' needs a decoder; an encoder takes head 'linear' or 'attention'")
        self._output = [stack.lm_head]  # in a list: the weights belong to the backbone, not to this module
        self.yes, self.no = yes, no

    def forward(self, x: Tensor) -> Tensor:
        rows = self._output[0].weight[[self.yes, self.no]]
        return x @ (rows[0] - rows[1])


def build_head(kind: str, stack: Stack, tokenizer: object) -> nn.Module:
    """The head named `kind` for this backbone."""
    width = stack.config.hidden_size
    if kind == "yes-no":
        yes, no = (tokenizer.encode(word, add_special_tokens=False)[0] for word in (" Yes", " No"))  # type: ignore[attr-defined]
        return YesNoHead(stack, yes, no)
    return {"linear": LinearHead, "pooler": PoolerHead, "attention": AttentionHead}[kind](width)
