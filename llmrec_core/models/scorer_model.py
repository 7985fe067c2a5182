"""Backbone, head and prompt layout together: the module that training and scoring share.

Symbols: G histories (users), N candidates each, T candidate tokens, E width, B pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.models import per_item
from llmrec_core.models.backbones import Backbone
from llmrec_core.models.heads import build_head
from llmrec_core.models.packed import History, read_candidates, read_history, read_whole
from llmrec_core.models.prompt_layout import PromptLayout, pad

if TYPE_CHECKING:
    from llmrec_core.models.onnx_engine import OnnxEngine


class ScorerModel(nn.Module):
    """Scores (history, candidate) pairs.

    The history is read once (`shared`, `per_item`), or each pair alone (`full`).
    """

    def __init__(
        self,
        backbone: Backbone,
        layout: PromptLayout,
        *,
        head: str,
        history_attention: str = "shared",
    ) -> None:
        """Put the parts together.

        Args:
            backbone: read by reference.
            layout: makes token ids of items.
            head: see `heads.build_head`; fresh weights are drawn from torch's generator.
            history_attention: `shared`, `per_item` or `full`.

        Raises:
            UnsupportedError: when head or mode do not go with the backbone.
        """
        super().__init__()
        if history_attention == "per_item":
            per_item.require_readable(layout)
        self.backbone = backbone
        self.layout = layout
        self.history_attention = history_attention
        self.language_model = backbone.module
        self.head_kind = head
        self.head = build_head(head, backbone)
        self.checkpointing = False
        self.engine: OnnxEngine | None = None
        """ONNX Runtime in place of torch for scoring in mode `shared` (`runtimes.py`)."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = next(self.language_model.parameters()).device
        return device

    def tensors(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Right-padded token ids and mask on the model's device."""
        return self._on_device(*pad(rows))

    def _on_device(self, tokens: np.ndarray, mask: np.ndarray) -> tuple[Tensor, Tensor]:
        here = torch.from_numpy(tokens), torch.from_numpy(mask)
        if self.device.type != "cuda":
            return here
        there = [part.pin_memory().to(self.device, non_blocking=True) for part in here]
        return there[0], there[1]

    def read_history(self, histories: Sequence[Sequence[int]]) -> History:
        """Keys and values of histories given as token ids."""
        tokens, mask = self.tensors(histories)
        if self.engine is not None and len(histories) == 1:
            return self.engine.read_history(tokens)
        alone = None
        if self.history_attention == "per_item":
            alone = per_item.arrange(self.layout, tokens, mask)
        return read_history(
            self.backbone.stack, tokens, mask, alone=alone, checkpointing=self.checkpointing
        )

    def read_blocks(self, blocks: Sequence[Sequence[int]], slots: Sequence[int]) -> History:
        """Keys and values of single blocks, each after the opening token (mode `per_item`).

        Args:
            blocks: token ids of each.
            slots: the slot that each stands in.
        """
        tokens, mask = self.tensors([[*self.layout.opening, *block] for block in blocks])
        return read_history(
            self.backbone.stack,
            tokens,
            mask,
            alone=per_item.arrange_blocks(self.layout, mask, slots),
        )

    def score_candidates(self, history: History, tokens: Tensor, mask: Tensor) -> Tensor:
        """Scores (G, N) of candidates after their histories.

        Args:
            history: of G users.
            tokens: ids, right-padded, shape (G, N, T).
            mask: True at real tokens, shape (G, N, T).
        """
        if self.engine is not None and len(tokens) == 1:
            return self.engine.score(history, tokens, mask)
        if self.head.all_tokens:
            stack = self.backbone.stack
            states = read_candidates(stack, history, tokens, mask, checkpointing=self.checkpointing)
            pooled: Tensor = self.head(states, mask)
            return pooled
        scores: Tensor = self.head(self.states_at(history, tokens, mask))
        return scores

    def states_at(
        self, history: History, tokens: Tensor, mask: Tensor, *, depth: int = 0
    ) -> Tensor:
        """States (G, N, E) where a head reads: a decoder's last token, an encoder's first.

        Args:
            history: of G users.
            tokens: ids, right-padded, shape (G, N, T).
            mask: True at real tokens, shape (G, N, T).
            depth: after so many layers; 0 is after all.
        """
        stack = self.backbone.stack
        read_at = mask.sum(-1) - 1 if stack.causal else torch.zeros_like(tokens[..., 0])
        return read_candidates(
            stack,
            history,
            tokens,
            mask,
            read_at=read_at,
            checkpointing=self.checkpointing,
            depth=depth,
        )

    def item_states(self, history: History, items: np.ndarray, *, depth: int = 0) -> Tensor:
        """As `states_at`, of item codes (G, N)."""
        groups, count = items.shape
        tokens, mask = self._on_device(*self.layout.candidate_grid(items.ravel()))
        return self.states_at(
            history, tokens.view(groups, count, -1), mask.view(groups, count, -1), depth=depth
        )

    def score_items(self, history: History, items: np.ndarray) -> Tensor:
        """Scores (G, N) of item codes (G, N)."""
        groups, count = items.shape
        tokens, mask = self._on_device(*self.layout.candidate_grid(items.ravel()))
        return self.score_candidates(
            history, tokens.view(groups, count, -1), mask.view(groups, count, -1)
        )

    def list_logits(self, history: History, lists: Sequence[Sequence[Sequence[int]]]) -> Tensor:
        """Logits (G, N, letters) of whole lists after their histories (head `letters`).

        Args:
            history: of G users.
            lists: token ids of N lists each, as `ListLayout.listed` makes them.
        """
        count = len(lists[0])
        tokens, mask = self.tensors([row for rows in lists for row in rows])
        shape = (len(lists), count, -1)
        return self.score_candidates(history, tokens.view(shape), mask.view(shape))

    def score_pairs(
        self, histories: Sequence[Sequence[int]], candidates: Sequence[Sequence[int]]
    ) -> Tensor:
        """Scores (B,) of pairs that are each read alone as one ordinary sequence.

        For an encoder the history then sees the candidate, so this is another model than `shared`,
        trained its own way.

        Args:
            histories: B rows of token ids.
            candidates: B rows of token ids.
        """
        stack = self.backbone.stack
        tokens, mask = self.tensors([[*h, *c] for h, c in zip(histories, candidates, strict=True)])
        starts = torch.tensor([len(history) for history in histories], device=self.device)
        places = torch.arange(tokens.shape[1], device=self.device)
        own = (places >= starts[:, None]) & mask
        x = read_whole(stack, tokens, mask, own.long())
        if self.head.all_tokens:
            pooled: Tensor = self.head(x, own)
            return pooled
        read_at = mask.sum(-1) - 1 if stack.causal else torch.zeros_like(starts)
        scores: Tensor = self.head(x[torch.arange(len(x), device=self.device), read_at])
        return scores

    def forward(self, histories: Sequence[Sequence[int]], items: np.ndarray) -> Tensor:
        """Training scores (G, N) of histories (token ids) and item codes (G, N)."""
        if self.history_attention == "full":
            candidates = [self.layout.candidates[item] for item in items.ravel()]
            repeated = [h for h in histories for _ in range(items.shape[1])]
            return self.score_pairs(repeated, candidates).view(items.shape)
        return self.score_items(self.read_history(histories), items)


class Adaptable(Protocol):
    """A language model and what was put on top of it, of which training may change some."""

    backbone: Backbone
    language_model: nn.Module
    head: nn.Module
    head_kind: str

    def parameters(self) -> Iterator[nn.Parameter]:
        """Every weight."""


def set_trainable(
    model: Adaptable,
    adaptation: str,
    *,
    freeze_layers: int = 0,
    rank: int = 8,
    alpha: float = 16.0,
) -> None:
    """Choose what training may change.

    Args:
        model: changed in place.
        adaptation: `none`, `head`, `lora` (arXiv:2106.09685, through peft) or `full`.
        freeze_layers: for `full`, the lowest layers (and embeddings, if above 0) that stay frozen.
        rank: of LoRA's matrices.
        alpha: LoRA's scale, over the rank.

    Raises:
        UnsupportedError: when nothing would be left to train.
    """
    stack = model.backbone.stack
    for parameter in model.language_model.parameters():
        parameter.requires_grad_(adaptation == "full")
    for parameter in model.head.parameters():
        parameter.requires_grad_(adaptation != "none")
    if adaptation == "full" and freeze_layers:
        for name, parameter in stack.base.named_parameters():
            if _below(name, freeze_layers):
                parameter.requires_grad_(False)
    if adaptation == "lora":
        from peft import LoraConfig, inject_adapter_in_model

        inject_adapter_in_model(
            LoraConfig(
                r=rank,
                lora_alpha=alpha,
                target_modules=list(stack.architecture.adapted),
                fan_in_fan_out=stack.config.model_type == "gpt2",
            ),
            model.language_model,
        )
    if adaptation != "none" and not any(p.requires_grad for p in model.parameters()):
        raise UnsupportedError(
            t(
                "adaptation {adaptation!r} with head {head!r} leaves no weight to train",
                adaptation=adaptation,
                head=model.head_kind,
            )
        )


def merge_lora(model: Adaptable) -> None:
    """Fold LoRA weights into the linears they sit on.

    Scores stay equal to rounding, and the extra products go.
    """
    from peft.tuners.lora import LoraLayer

    for parent in list(model.language_model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LoraLayer):
                child.merge()
                setattr(parent, name, child.get_base_layer())


def _below(name: str, layers: int) -> bool:
    """Whether a parameter belongs to the lowest layers or to the embeddings."""
    numbers = [int(part) for part in name.split(".") if part.isdigit()]
    return numbers[0] < layers if numbers else "emb" in name or name.startswith(("wte", "wpe"))
