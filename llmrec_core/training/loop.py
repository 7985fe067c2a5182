"""The one training loop: warm-up and decay, clipping, early stopping, checkpoints that resume bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from llmrec_core.errors import CheckpointError, RunFailed
from llmrec_core.experiments.context import RunContext
from llmrec_core.experiments.spec import TrainingSpec
from llmrec_core.training import checkpoints

EXPONENTIAL_END = 0.05
"""Share of the peak learning rate at the end of exponential decay."""


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


def learning_rate_at(spec: TrainingSpec, step: int) -> float:
    """Learning rate of step 0 … steps-1: linear warm-up, then the named decay to the last step."""
    if step < spec.warmup_steps:
        return spec.learning_rate * (step + 1) / spec.warmup_steps
    share = (step - spec.warmup_steps) / max(spec.steps - spec.warmup_steps, 1)
    factor = {
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
        return torch.optim.SGD(groups, lr=spec.learning_rate, momentum=0.9)
    return torch.optim.AdamW(groups, lr=spec.learning_rate, fused=True)


def train(
    model: nn.Module,
    loss_at: Callable[[int], Tensor],
    spec: TrainingSpec,
    context: RunContext,
    *,
    seed: int,
    validate: Callable[[], float] | None = None,
) -> TrainingResult:
    """Train `model` and leave its best weights in it.

    Args:
        loss_at: loss of micro-step n; must depend on the weights and n alone.
        validate: NDCG on validation users; called every `validate_every` steps with the model in eval mode.

    Raises:
        RunFailed: when the loss is not finite (kind `data`).
    """
    root = context.folder / "checkpoints"
    optimizer = make_optimizer(model, spec)
    weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
    losses: list[float] = []
    best, best_weights, misses, spent, start = None, {}, 0, 0.0, 0
    found = checkpoints.latest(root)
    if found:
        tensors, state = checkpoints.read_folder(found)
        _restore(weights, tensors["weights"])
        _restore_optimizer(optimizer, weights, tensors["optimizer"])
        best_weights = tensors.get("best", {})
        start, losses, best, misses, spent = (state[k] for k in ("step", "losses", "best", "misses", "seconds"))
        context.log(f"resumed from {found.name} after {spent:.0f} s of training")
    began = saved = context.clock
    stopped = "done"
    model.train()
    step = start
    for step in range(start, spec.steps):
        torch.manual_seed((seed << 24) + step)  # dropout, the same after a resume
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(spec, step)
        total = 0.0
        for micro in range(spec.accumulate):
            loss = loss_at(step * spec.accumulate + micro) / spec.accumulate
            loss.backward()
            total += float(loss.detach())
        if not math.isfinite(total):
            raise RunFailed(
                f"the loss became {total} at step {step}: lower training.learning_rate ({spec.learning_rate})", "data"
            )
        if spec.clip_norm:
            torch.nn.utils.clip_grad_norm_(list(weights.values()), spec.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(total)
        context.curve("train_loss", step, total)
        context.progress("fit", step + 1, spec.steps)
        seconds = spent + context.clock - began
        if validate and (step + 1) % spec.validate_every == 0 and step + 1 < spec.steps:
            value = _validated(model, validate, context, step)
            if best is None or value > best:
                best, misses, best_weights = value, 0, {k: p.detach().clone() for k, p in weights.items()}
            else:
                misses += 1
        if context.should_stop():
            stopped = "asked"
        elif spec.patience and misses >= spec.patience:
            stopped = "early"
        elif seconds > spec.max_minutes * 60:
            stopped = "time"
        due = context.clock - saved > spec.checkpoint_minutes * 60
        if stopped == "asked" or due:
            state = {"step": step + 1, "losses": losses, "best": best, "misses": misses, "seconds": seconds}
            _save(root, step + 1, weights, optimizer, best_weights, state)
            saved = context.clock
        if stopped != "done":
            break
    if stopped == "asked":
        raise RunFailed(f"stopped at step {step + 1} of {spec.steps}; resume to go on", "cancelled")
    if validate:
        value = _validated(model, validate, context, step)
        if best is None or value >= best:
            best = value
        else:
            _restore(weights, best_weights)
            context.log(f"kept the weights with validation NDCG {best:.4f}; the last had {value:.4f}")
    model.eval()
    tenth = max(len(losses) // 10, 1)
    return TrainingResult(
        len(losses),
        spent + context.clock - began,
        sum(losses[:tenth]) / tenth,
        sum(losses[-tenth:]) / tenth,
        best,
        stopped,
    )


def _validated(model: nn.Module, validate: Callable[[], float], context: RunContext, step: int) -> float:
    model.eval()
    value = float(validate())
    model.train()
    context.curve("valid_ndcg@10", step, value)
    return value


def _restore(weights: dict[str, nn.Parameter], stored: dict[str, Tensor]) -> None:
    if weights.keys() != stored.keys():
        odd = sorted(weights.keys() ^ stored.keys())[:3]
        raise CheckpointError(
            f"the checkpoint holds other weights than this run trains (first differences: {odd}); delete it and start again"
        )
    with torch.no_grad():
        for name, parameter in weights.items():
            parameter.copy_(stored[name])


def _save(
    root: Path,
    step: int,
    weights: dict[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    best: dict[str, Tensor],
    state: dict[str, object],
) -> None:
    moments = {
        f"{name}|{key}": value
        for name, parameter in weights.items()
        for key, value in optimizer.state[parameter].items()
        if isinstance(value, Tensor)
    }
    tensors: dict[str, dict[str, Tensor]] = {"weights": dict(weights), "optimizer": moments}
    if best:
        tensors["best"] = best
    checkpoints.write_folder(root / f"step-{step}", tensors, state)
    import shutil

    for old in sorted(root.glob("step-*[0-9]"), key=lambda p: int(p.name.split("-")[1]))[:-2]:
        shutil.rmtree(old, ignore_errors=True)


def _restore_optimizer(
    optimizer: torch.optim.Optimizer, weights: dict[str, nn.Parameter], stored: dict[str, Tensor]
) -> None:
    for key, value in stored.items():
        name, field = key.rsplit("|", 1)
        optimizer.state[weights[name]][field] = value.to(weights[name].device) if field != "step" else value
