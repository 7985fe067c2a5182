"""The training loop of all neural families: steps, validation, checkpoints, resuming.

A step is the sum over its micro-batches divided once by their weight: each micro-batch's mean
counts by the share of the step's weight that it brings. So the gradient is that of one large batch
however the batch is cut. Step n draws from (seed, n) alone, so that a resumed training goes on
bit for bit as one that was never stopped.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import TrainingSpec
from llmrec_core.errors import CheckpointError, NotFiniteError, RunError
from llmrec_core.language import t
from llmrec_core.training import checkpoints
from llmrec_core.training.divergence import (
    GRADIENT,
    LOSS,
    SCORES,
    WEIGHTS,
    all_finite,
    diverged,
)

EXPONENTIAL_END = 0.05
"""Share of the peak learning rate at the end of exponential decay."""
MOMENTUM = 0.9
"""Of SGD."""
KEPT_CHECKPOINTS = 2


@dataclass(frozen=True)
class TrainingResult:
    """What a training did. Losses are means over the first and last tenth of the steps."""

    steps: int
    seconds: float
    first_loss: float
    last_loss: float
    best_valid: float | None
    stopped: str
    """`done`, `early`, `time` or `asked`."""


@dataclass
class Progress:
    """How far a training is, as a checkpoint stores it."""

    step: int = 0
    """Steps taken."""
    losses: list[float] = field(default_factory=list)
    best: float | None = None
    """Best validation so far."""
    misses: int = 0
    """Validations since then."""
    seconds: float = 0.0
    """Spent by earlier attempts."""


def learning_rate_at(spec: TrainingSpec, step: int) -> float:
    """Learning rate of step 0 … steps-1: linear warm-up, then the named decay to the last step."""
    if step < spec.warmup_steps:
        return spec.learning_rate * (step + 1) / spec.warmup_steps
    share = (step - spec.warmup_steps) / max(spec.steps - spec.warmup_steps, 1)
    factor: float = {
        "constant": 1.0,
        "linear": 1.0 - share,
        "cosine": 0.5 * (1.0 + math.cos(math.pi * share)),
        "exponential": EXPONENTIAL_END**share,
    }[spec.schedule]
    return spec.learning_rate * factor


def make_optimizer(model: nn.Module, spec: TrainingSpec) -> torch.optim.Optimizer:
    """AdamW or SGD over the trainable weights; biases and norms are not decayed."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": spec.weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if spec.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=spec.learning_rate, momentum=MOMENTUM)
    return torch.optim.AdamW(groups, lr=spec.learning_rate, fused=True)


def train(
    model: nn.Module,
    loss_at: Callable[[int], Tensor],
    spec: TrainingSpec,
    context: RunContext,
    *,
    seed: int,
    weight_at: Callable[[int], float],
    validate: Callable[[], float] | None = None,
) -> TrainingResult:
    """Train `model` and leave its best weights in it.

    Args:
        model: its parameters that require a gradient are trained.
        loss_at: mean loss of micro-step n; must depend on the weights and n alone.
        spec: steps, rates and when to stop.
        context: its folder holds the checkpoints of this run, which a resumed training starts from.
        seed: of dropout.
        weight_at: what the mean of micro-step n is over, e.g. its number of targets; above 0.
        validate: NDCG on validation users, with the model in eval mode; called every
            `validate_every` steps and after the last one.

    Raises:
        NotFiniteError: when a loss, gradient, weight or score is no finite number. The weights
            with the best validation stay in the last checkpoint.
        RunError: when the run is asked to stop (kind `cancelled`).
        CheckpointError: when the checkpoint is of other weights.
    """
    return _Training(model, loss_at, weight_at, spec, context, seed, validate).run()


class _Training:
    """One training under way."""

    def __init__(
        self,
        model: nn.Module,
        loss_at: Callable[[int], Tensor],
        weight_at: Callable[[int], float],
        spec: TrainingSpec,
        context: RunContext,
        seed: int,
        validate: Callable[[], float] | None,
    ) -> None:
        self.model, self.spec, self.context, self.seed = model, spec, context, seed
        self.loss_at, self.weight_at, self.validate = loss_at, weight_at, validate
        self.root = context.folder / "checkpoints"
        self.optimizer = make_optimizer(model, spec)
        self.weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.progress = Progress()
        self.best_weights: dict[str, Tensor] = {}
        self._resume()
        self.began = self.saved = context.clock

    @property
    def seconds(self) -> float:
        """Seconds of training, with those of earlier attempts."""
        return self.progress.seconds + self.context.clock - self.began

    def run(self) -> TrainingResult:
        """Take the steps that are left, then put the best weights in place."""
        stopped = "done"
        self.model.train()
        while self.progress.step < self.spec.steps and stopped == "done":
            self._step()
            if self.validate and self.progress.step % self.spec.validate_every == 0:
                self._validate_between()
            stopped = self._reason_to_stop()
            due = self.context.clock - self.saved > self.spec.checkpoint_minutes * 60
            if stopped == "asked" or due:
                self._save()
        if stopped == "asked":
            raise RunError(
                t(
                    "stopped at step {step} of {steps}; resume to go on",
                    step=self.progress.step,
                    steps=self.spec.steps,
                ),
                "cancelled",
            )
        self._require_finite_weights()
        self._choose_weights()
        self.model.eval()
        return self._result(stopped)

    def _step(self) -> None:
        """One optimiser step over all micro-batches of the next step."""
        step, accumulate = self.progress.step, self.spec.accumulate
        torch.manual_seed((self.seed << 24) + step)  # dropout, the same after a resume
        rate = learning_rate_at(self.spec, step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        micro_steps = range(step * accumulate, (step + 1) * accumulate)
        brought = [self.weight_at(number) for number in micro_steps]
        total = 0.0
        for number, weight in zip(micro_steps, brought, strict=True):
            loss = self.loss_at(number) * (weight / sum(brought))
            loss.backward()
            total += float(loss.detach())
        if not math.isfinite(total):
            raise diverged(LOSS, step, rate, self.spec)
        norm = torch.nn.utils.clip_grad_norm_(
            list(self.weights.values()), self.spec.clip_norm or math.inf
        )
        if not math.isfinite(float(norm)):
            raise diverged(GRADIENT, step, rate, self.spec)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.progress.losses.append(total)
        self.progress.step += 1
        self.context.curve("train_loss", step, total)
        self.context.progress("fit", step + 1, self.spec.steps)

    def _validate_between(self) -> None:
        """Validate after a step that is not the last one, and remember the best weights."""
        if self.progress.step == self.spec.steps:
            return
        value = self._validated()
        if self.progress.best is None or value > self.progress.best:
            self.progress.best, self.progress.misses = value, 0
            self.best_weights = {name: p.detach().clone() for name, p in self.weights.items()}
        else:
            self.progress.misses += 1

    def _validated(self) -> float:
        """NDCG on validation users now.

        Raises:
            NotFiniteError: when a weight or a score is no finite number.
        """
        assert self.validate is not None, "only called where there is a validation"
        self._require_finite_weights()
        self.model.eval()
        try:
            value = float(self.validate())
        except NotFiniteError as error:
            raise self._diverged(SCORES) from error
        self.model.train()
        if not math.isfinite(value):
            raise self._diverged(SCORES)
        self.context.curve("valid_ndcg@10", self.progress.step - 1, value)
        return value

    def _diverged(self, what: str) -> NotFiniteError:
        step = max(self.progress.step - 1, 0)
        return diverged(what, step, learning_rate_at(self.spec, step), self.spec)

    def _require_finite_weights(self) -> None:
        if not all_finite(self.weights.values()):
            raise self._diverged(WEIGHTS)

    def _reason_to_stop(self) -> str:
        """`done` goes on; `asked`, `early` or `time` end the training."""
        if self.context.should_stop():
            return "asked"
        if self.spec.patience and self.progress.misses >= self.spec.patience:
            return "early"
        if self.seconds > self.spec.max_minutes * 60:
            return "time"
        return "done"

    def _choose_weights(self) -> None:
        """Validate the last weights; an earlier validation that was better brings its own back."""
        if not self.validate:
            return
        value, best = self._validated(), self.progress.best
        if best is None or value >= best:
            self.progress.best = value
            return
        _restore(self.weights, self.best_weights)
        self.context.log(
            t(
                "kept the weights with validation NDCG {best:.4f}; the last had {value:.4f}",
                best=best,
                value=value,
            )
        )

    def _result(self, stopped: str) -> TrainingResult:
        losses = self.progress.losses
        tenth = max(len(losses) // 10, 1)
        return TrainingResult(
            len(losses),
            self.seconds,
            sum(losses[:tenth]) / tenth,
            sum(losses[-tenth:]) / tenth,
            self.progress.best,
            stopped,
        )

    def _save(self) -> None:
        """Write a checkpoint; the last `KEPT_CHECKPOINTS` are kept.

        Raises:
            NotFiniteError: when a weight is no finite number, before anything is written.
        """
        self._require_finite_weights()
        moments = {
            f"{name}|{key}": value
            for name, parameter in self.weights.items()
            for key, value in self.optimizer.state[parameter].items()
            if isinstance(value, Tensor)
        }
        tensors: dict[str, dict[str, Tensor]] = {
            "weights": dict(self.weights),
            "optimizer": moments,
        }
        if self.best_weights:
            tensors["best"] = self.best_weights
        progress = self.progress
        state = {
            "step": progress.step,
            "losses": progress.losses,
            "best": progress.best,
            "misses": progress.misses,
            "seconds": self.seconds,
        }
        checkpoints.write_folder(self.root / f"step-{progress.step}", tensors, state)
        for old in checkpoints.by_step(self.root)[:-KEPT_CHECKPOINTS]:
            shutil.rmtree(old, ignore_errors=True)
        self.saved = self.context.clock

    def _resume(self) -> None:
        """Go on from the newest checkpoint that is whole, if there is one."""
        damaged: list[str] = []
        newest = checkpoints.latest(self.root, damaged)
        if damaged:
            self._say_damaged(damaged, newest)
        if newest is None:
            return
        tensors, state = checkpoints.read_folder(newest)
        _restore(self.weights, tensors["weights"])
        _restore_optimizer(self.optimizer, self.weights, tensors["optimizer"])
        self.best_weights = tensors.get("best", {})
        self.progress = Progress(**state)
        self.context.log(
            t(
                "resumed from {name} after {spent:.0f} s of training",
                name=newest.name,
                spent=self.progress.seconds,
            )
        )

    def _say_damaged(self, damaged: list[str], newest: Path | None) -> None:
        """Tell the run's page that steps are computed again, and why."""
        sentence = t(
            "{count} damaged checkpoint(s) passed over, training goes on from {where}: {what}",
            count=len(damaged),
            where=newest.name if newest is not None else t("the start"),
            what="; ".join(damaged),
        )
        self.context.log(sentence)
        self.context.document("damaged_checkpoints", {"sentence": sentence})


def _restore(weights: dict[str, nn.Parameter], stored: dict[str, Tensor]) -> None:
    if weights.keys() != stored.keys():
        odd = sorted(weights.keys() ^ stored.keys())[:3]
        raise CheckpointError(
            t(
                "the checkpoint holds other weights than this run trains (first differences: "
                "{odd}); delete it and start again",
                odd=odd,
            )
        )
    with torch.no_grad():
        for name, parameter in weights.items():
            parameter.copy_(stored[name])


def _restore_optimizer(
    optimizer: torch.optim.Optimizer, weights: dict[str, nn.Parameter], stored: dict[str, Tensor]
) -> None:
    for key, value in stored.items():
        name, moment = key.rsplit("|", 1)
        optimizer.state[weights[name]][moment] = (
            value.to(weights[name].device) if moment != "step" else value
        )
