"""The loss of a sequence model: each place foretells the item after it, among all or a sample."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from llmrec_core.models.sasrec_model import SasRecModel
from llmrec_core.training.sampled_softmax import sampled_logits
from llmrec_core.training.windows import Windows


class TargetLoss:
    """Cross-entropy over the catalogue or a sample, a mean over the places or their weights."""

    def __init__(
        self, model: SasRecModel, item_weights: Tensor | None, device: torch.device
    ) -> None:
        """Hold what every batch needs.

        Args:
            model: is asked for the states and the item vectors.
            item_weights: what a target counts, shape (items,); None counts all alike.
            device: where the model is.
        """
        self.model, self.item_weights, self.device = model, item_weights, device

    def mean(self, windows: Windows) -> Tensor:
        """The loss of some windows; with weights it is self-normalised (bounded, a bit biased)."""
        return self._of_places(*self._states(windows), windows)

    def _states(self, windows: Windows) -> tuple[Tensor, Tensor]:
        """What was read up to each place, shape (B, L, width), and the vectors of all items."""
        table = self.model.vectors()
        return self.model(torch.from_numpy(windows.inputs).to(self.device), table), table

    def _of_places(self, states: Tensor, table: Tensor, windows: Windows) -> Tensor:
        """Cross-entropy of the targets, a mean over the places or their weights.

        Args:
            states: of every place, shape (B, L, width).
            table: vectors of the items, and of the padding behind them.
            windows: what the states are of.
        """
        items = self.model.items
        real = torch.from_numpy(windows.real).to(self.device)
        states = states[real]
        targets = torch.from_numpy(windows.targets).to(self.device)[real]
        if windows.negatives is None:
            logits, right = states @ table[:items].T, targets
        else:
            negatives = torch.from_numpy(windows.negatives).to(self.device)
            logits = sampled_logits(states, table[:items], targets, negatives)
            right = torch.zeros_like(targets)
        if self.item_weights is None:
            return functional.cross_entropy(logits, right)
        each = functional.cross_entropy(logits, right, reduction="none")
        weights = self.item_weights[targets]
        return (weights * each).sum() / weights.sum()

    def weight(self, windows: Windows) -> float:
        """What that mean is over: the number of places, or the sum of their targets' weights."""
        if self.item_weights is None:
            return float(windows.real.sum())
        targets = torch.from_numpy(windows.targets[windows.real]).to(self.device)
        return float(self.item_weights[targets].sum())
