"""Where a scorer's time goes: per layer and part, as a roofline point, and over a grid of request sizes.

A model is anything `load_backbone` reads, or a `config.json` alone, which gets random weights: its cost is that of the real
model, its scores mean nothing ("cost only"). Requests are drawn token ids of exact lengths, so no data set is needed.

    cold      the first request of that size in this process
    new user  nothing remembered: history and candidates are read      (the headline)
    again     the same user once more: the history's keys and values are still there
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from llmrec_core.errors import CheckpointError, UnsupportedError, UsageError
from llmrec_core.models.architectures import Block
from llmrec_core.models.backbones import Backbone, load_backbone
from llmrec_core.models.devices import pick_device
from llmrec_core.models.precision import apply_precision
from llmrec_core.models.prompts import pad
from llmrec_core.models.runtimes import apply_runtime
from llmrec_core.models.scorer_model import ScorerModel
from llmrec_core.profiling import counts, device
from llmrec_core.profiling.peaks import Peaks, measure_peaks
from llmrec_core.profiling.probe import require
from llmrec_core.profiling.timing import synchronise
from llmrec_core.scoring.scorer import CHUNK_TOKENS, Scorer

if TYPE_CHECKING:
    from llmrec_core.settings import Settings

REPEATS = 7
ASSUMED_MFU = 0.5
"""For the time shown before a profile starts; the profile itself measures."""
PARTS = ("projections", "attention", "output and feed-forward")


@dataclass(frozen=True)
class Size:
    """One cell of the grid."""

    batch: int
    history_tokens: int
    candidates: int


class DrawnTokens:
    """What `Scorer` needs of a prompt layout, with drawn token ids: user u's history has one length, every candidate another."""

    def __init__(self, vocabulary: int, history_tokens: int, candidates: int, candidate_tokens: int) -> None:
        rng = np.random.default_rng(0)
        self._draw: Callable[[int], list[int]] = lambda size: list(map(int, rng.integers(0, vocabulary, size)))
        self.history_tokens = history_tokens
        self.candidates = [self._draw(candidate_tokens) for _ in range(candidates)]
        self.candidate_lengths = np.full(candidates, candidate_tokens)
        self._grid = pad(self.candidates)
        self._histories: dict[int, list[int]] = {}

    def history(self, user: Sequence[int]) -> list[int]:
        """Token ids of one user, named by the only code in `user`."""
        if user[0] not in self._histories:
            self._histories[user[0]] = self._draw(self.history_tokens)
        return self._histories[user[0]]

    def candidate_grid(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._grid[0][items], self._grid[1][items]


def profile_model(
    model: str,
    settings: Settings,
    *,
    batches: Sequence[int] = (1, 8),
    history_tokens: Sequence[int] = (50, 200),
    candidates: Sequence[int] = (10, 100, 500),
    candidate_tokens: int = 12,
    precision: str = "fp32",
    runtime: str = "eager",
    device_name: str = "auto",
    depth: int = 0,
    repeats: int = REPEATS,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """The profile of `model` as one JSON document.

    Returns:
        `grid` (a row per size: cold, new-user and again seconds with all samples, FLOPs, MFU), `layers` (seconds and FLOPs of
        each layer's parts at the largest single request), `roofline`, `flops` (formula and counted), `peaks`, `conditions`.

    Raises:
        UsageError: for a size that is not positive.
        UnsupportedError: for a size beyond the context, or a precision or runtime this device lacks.
    """
    sizes = [Size(*cell) for cell in itertools.product(batches, history_tokens, candidates)]
    if not sizes or min(min(dataclasses.astuple(size)) for size in sizes) < 1 or candidate_tokens < 1 or repeats < 1:
        raise UsageError("a profile needs at least one batch, history, candidate count and repetition, each 1 or more")
    where = pick_device(device_name)
    probed = require(precision, runtime, settings, where.type) if (precision, runtime) != ("fp32", "eager") else None
    start = time.perf_counter()
    backbone, cost_only = _backbone(model, settings, depth)
    longest = max(history_tokens) + candidate_tokens
    if longest > backbone.stack.max_tokens:
        raise UnsupportedError(
            f"{max(history_tokens)} history and {candidate_tokens} candidate tokens are {longest}; {model} reads "
            f"{backbone.stack.max_tokens}: choose a shorter history"
        )
    layout: Any = DrawnTokens(
        backbone.stack.config.vocab_size, history_tokens[0], max(*candidates, *batches), candidate_tokens
    )
    scorer_model = ScorerModel(backbone, layout, head="linear").eval().to(where)
    apply_precision(scorer_model, precision)
    apply_runtime(scorer_model, runtime, precision)
    load_s = time.perf_counter() - start
    shape = dataclasses.replace(counts.shape_of(backbone.stack.config), layers=len(backbone.stack.blocks))
    peaks = measure_peaks(where.type)
    scorer = Scorer(scorer_model)
    rows = []
    for number, size in enumerate(sizes):
        rows.append(_row(scorer, layout, size, shape, candidate_tokens, peaks, repeats))
        if progress:
            progress(number + 1, len(sizes))
    largest = max((s for s in sizes if s.batch == min(batches)), key=lambda s: s.history_tokens * s.candidates)
    layers = None if runtime == "onnx" else _layers(scorer, layout, largest, shape, candidate_tokens)
    weights = sum(t.numel() * t.element_size() for t in (*scorer_model.parameters(), *scorer_model.buffers()))
    return {
        "model": model,
        "cost_only": cost_only,
        "provenance": backbone.provenance,
        "weight_bytes": weights,
        "parameters": sum(p.numel() for p in scorer_model.parameters()),
        "load_s": load_s,
        "peaks": dataclasses.asdict(peaks),
        "grid": rows,
        "layers": layers,
        "roofline": _roofline(shape, largest, candidate_tokens, rows, peaks),
        "flops": _counted(scorer, layout, largest, shape, candidate_tokens),
        "conditions": {
            "device": device.describe().to_dict(), "torch": torch.__version__, "precision": precision, "runtime": runtime,
            "probe": probed.reason if probed else "", "candidate_tokens": candidate_tokens, "repeats": repeats,
            "method": "seconds of whole requests, device synchronised; the first of a size is `cold`, then repetitions",
        },
        "command": command_of(model, precision, runtime, batches, history_tokens, candidates, candidate_tokens, depth),
    }  # fmt: skip


def expected_s(
    config: Any, sizes: Sequence[Size], candidate_tokens: int, peaks: Peaks, repeats: int = REPEATS
) -> float:
    """Seconds a profile will take, from the formula at half the measured peak."""
    shape = counts.shape_of(config)
    work = sum(s.batch * counts.shared_flops(shape, s.history_tokens, s.candidates, candidate_tokens) for s in sizes)
    return 2 * (repeats + 1) * work / (ASSUMED_MFU * peaks.gemm_flops_per_s)


def command_of(
    model: str, precision: str, runtime: str, batches: Sequence[int], history: Sequence[int], candidates: Sequence[int],
    candidate_tokens: int, depth: int,
) -> str:  # fmt: skip
    """The command line that repeats a profile."""
    lists = " ".join(
        f"--{name} {','.join(map(str, values))}"
        for name, values in (("batches", batches), ("history-tokens", history), ("candidate-counts", candidates))
    )
    extra = f" --depth {depth}" if depth else ""
    return (
        f"python -m llmrec_core profile --model {model} --grid --precision {precision} --runtime {runtime} {lists} "
        f"--candidate-tokens {candidate_tokens}{extra} --json"
    )


def _backbone(model: str, settings: Settings, depth: int) -> tuple[Backbone, bool]:
    """The backbone, and whether its weights are random because only a config was given."""
    path = Path(model).expanduser()
    if path.is_dir() and not list(path.glob("*.safetensors")) and not list(path.glob("*.bin")):
        path = path / "config.json"
    if path.suffix != ".json":
        return load_backbone(model, settings, depth=depth), False
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    from llmrec_core.models.architectures import ARCHITECTURES, stack_of

    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"no file {path}; give a model folder or the path of a config.json") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from error
    kind = body.pop("model_type", None) if isinstance(body, dict) else None
    if kind not in ARCHITECTURES or body.get("auto_map"):
        raise UnsupportedError(
            f"{path} describes architecture {kind!r}; supported: {', '.join(ARCHITECTURES)}, without code of their own"
        )
    config = AutoConfig.for_model(kind, **body)
    torch.manual_seed(0)
    made = (
        AutoModel.from_config(config, add_pooling_layer=False)
        if kind == "bert"
        else AutoModelForCausalLM.from_config(config)
    )
    stack = stack_of(made.float().eval())
    if not 0 <= depth <= len(stack.blocks):
        raise UsageError(f"depth {depth}: {path} describes {len(stack.blocks)} layers")
    if depth:
        stack.truncate(depth)
    return Backbone(model, stack, None, f"{path.name} with random weights: cost only"), True


def _row(
    scorer: Scorer,
    layout: DrawnTokens,
    size: Size,
    shape: counts.Shape,
    candidate_tokens: int,
    peaks: Peaks,
    repeats: int,
) -> dict[str, Any]:
    layout.history_tokens = size.history_tokens
    layout._histories.clear()
    items = np.arange(size.candidates)

    def request(forget: bool) -> float:
        if forget:
            scorer.weights_changed()
        synchronise()
        start = time.perf_counter()
        for user in range(size.batch):
            scorer.scores([user], items)
        synchronise()
        return time.perf_counter() - start

    scorer.weights_changed()
    for user in range(size.batch):
        layout.history([user])
    cold = request(True)
    new = [request(True) for _ in range(repeats)]
    again = [request(False) for _ in range(repeats)]
    flops = size.batch * counts.shared_flops(shape, size.history_tokens, size.candidates, candidate_tokens)
    p50 = float(np.median(new))
    return dataclasses.asdict(size) | {
        "cold_s": cold, "p50_s": p50, "p95_s": float(np.percentile(new, 95)), "again_p50_s": float(np.median(again)),
        "samples_s": new, "again_samples_s": again, "flops": flops, "requests_per_s": size.batch / p50,
        "mfu": flops / p50 / peaks.gemm_flops_per_s,
    }  # fmt: skip


def _layers(
    scorer: Scorer, layout: DrawnTokens, size: Size, shape: counts.Shape, candidate_tokens: int
) -> list[dict[str, Any]]:
    """Seconds (fastest of three requests) and FLOPs of every layer's parts; what is in no layer comes last."""
    stack = scorer.model.backbone.stack
    spent: dict[tuple[int, str], float] = {}
    marks: list[float] = [0.0]

    def clocked(number: int, block: Any, name: str) -> Callable[..., Any]:
        inner = getattr(block, name)

        def call(*arguments: Any) -> Any:
            synchronise()
            before = time.perf_counter()
            if name == "close":  # since the last projection only attention has run
                spent[number, PARTS[1]] = spent.get((number, PARTS[1]), 0.0) + before - marks[0]
            result = inner(*arguments)
            synchronise()
            marks[0] = time.perf_counter()
            part = PARTS[2] if name == "close" else PARTS[0]
            spent[number, part] = spent.get((number, part), 0.0) + marks[0] - before
            return result

        return call

    layout.history_tokens = size.history_tokens
    layout._histories.clear()
    best: tuple[float, dict[tuple[int, str], float]] = (float("inf"), {})
    changed = [(block, name) for block in stack.blocks for name in ("project", "queries", "keys_values", "close")]
    kept = [block.__dict__.get(name) for block, name in changed]
    try:
        for number, block in enumerate(stack.blocks):
            for name in ("queries", "keys_values", "close"):
                setattr(block, name, clocked(number, block, name))
            if type(block).project is not Block.project:
                block.project = clocked(number, block, "project")
        for _ in range(3):
            spent.clear()
            scorer.weights_changed()
            start = time.perf_counter()
            scorer.scores([0], np.arange(size.candidates))
            whole = time.perf_counter() - start
            if whole < best[0]:
                best = whole, dict(spent)
    finally:
        for (block, name), value in zip(changed, kept, strict=True):
            if value is None:
                block.__dict__.pop(name, None)
            else:
                setattr(block, name, value)
    rows = [
        {"layer": number, "part": part, "seconds": best[1].get((number, part), 0.0), "flops": flops}
        for number in range(shape.layers)
        for part, flops in _part_flops(shape, size, candidate_tokens, last=number == shape.layers - 1).items()
    ]
    inside = sum(best[1].values())
    return [*rows, {"layer": None, "part": "embedding, head and copies", "seconds": best[0] - inside, "flops": 0.0}]


def _part_flops(shape: counts.Shape, size: Size, candidate_tokens: int, *, last: bool) -> dict[str, float]:
    """FLOPs of one layer's parts; all layers together are `counts.shared_flops`."""
    s, n, t = size.history_tokens, size.candidates, candidate_tokens
    rows = n if last else n * t + s  # tokens whose output is computed
    own = n if last else n * t
    wide = shape.heads * shape.head_dim
    return {
        PARTS[0]: 2.0 * (n * t + s) * shape.key_value_weights + 2.0 * rows * shape.query_weights,
        PARTS[1]: 4.0 * wide * (own * (s + t) + (0 if last else s * s)),
        PARTS[2]: 2.0 * rows * shape.closing_weights,
    }


def _roofline(
    shape: counts.Shape, size: Size, candidate_tokens: int, rows: list[dict[str, Any]], peaks: Peaks
) -> dict[str, Any]:
    """FLOPs per byte and FLOP/s of the largest single request against both peaks.

    Bytes are counted by rule: each layer's weights once per pass, and what each product reads and writes of activations.
    """
    row = next(r for r in rows if Size(r["batch"], r["history_tokens"], r["candidates"]) == size)
    passes = 1 + -(-size.candidates * candidate_tokens // CHUNK_TOKENS)
    tokens = size.history_tokens + size.candidates * candidate_tokens
    wide = (shape.heads + shape.kv_heads) * shape.head_dim
    moved = (
        4.0
        * shape.layers
        * (passes * shape.layer_weights + tokens * (4 * shape.width + 2 * wide + 2 * shape.feed_forward))
    )
    flops = row["flops"] / size.batch
    intensity = flops / moved
    roof = min(peaks.gemm_flops_per_s, intensity * peaks.bandwidth_bytes_per_s)
    return {
        "intensity_flops_per_byte": intensity, "bytes": moved, "flops_per_s": row["flops"] / row["p50_s"], "roof_flops_per_s": roof,
        "ridge_flops_per_byte": peaks.gemm_flops_per_s / peaks.bandwidth_bytes_per_s,
        "bound": "compute" if roof == peaks.gemm_flops_per_s else "memory", "size": dataclasses.asdict(size),
    }  # fmt: skip


def _counted(
    scorer: Scorer, layout: DrawnTokens, size: Size, shape: counts.Shape, candidate_tokens: int
) -> dict[str, Any]:
    """The formula's FLOPs beside torch's count, or why there is none."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    formula = counts.shared_flops(shape, size.history_tokens, size.candidates, candidate_tokens)
    if scorer.model.engine is not None or any(hasattr(part, "_packed_params") for part in scorer.model.modules()):
        return {
            "formula": formula,
            "counted": None,
            "reason": "torch's counter sees neither int8 products nor ONNX Runtime",
        }
    scorer.weights_changed()
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        scorer.scores([0], np.arange(size.candidates))
    note = "counted with the plain attention kernel: the counter gives 0 for the fused one on a CPU; the head's own product is counted too"
    return {"formula": formula, "counted": counter.get_total_flops(), "reason": note}
