"""Where a scorer's time goes: over a grid of request sizes, per layer, as a roofline point.

A model is anything `load_backbone` reads, or a `config.json` alone, which gets random weights: its
cost is that of the real model, its scores mean nothing ("cost only"). Requests are drawn token ids
of exact lengths, so no data set is needed.

    cold      the first request of that size in this process
    new user  nothing remembered: history and candidates are read      (the headline)
    again     the same user once more: the history's keys and values are still there
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from llmrec_core.contract.steps import Progress, Step, unnoted
from llmrec_core.errors import CheckpointError, UnsupportedError, UsageError
from llmrec_core.language import t
from llmrec_core.models.architectures import stack_of
from llmrec_core.models.backbones import Backbone, load_backbone
from llmrec_core.models.devices import pick_device
from llmrec_core.models.kinds import ARCHITECTURES, ENCODERS
from llmrec_core.models.precision import apply_precision
from llmrec_core.models.prompt_layout import PromptLayout
from llmrec_core.models.runtimes import apply_runtime
from llmrec_core.models.scorer_model import ScorerModel
from llmrec_core.profiling import counts, device
from llmrec_core.profiling.drawn_tokens import DrawnTokens, Size
from llmrec_core.profiling.layer_clock import layer_rows
from llmrec_core.profiling.peaks import Peaks, measure_peaks
from llmrec_core.profiling.probe import require
from llmrec_core.profiling.time_account import TimeAccount
from llmrec_core.profiling.timing import synchronise
from llmrec_core.profiling.weights import has_integer_products, weight_bytes
from llmrec_core.scoring.scorer import CHUNK_TOKENS, Scorer

if TYPE_CHECKING:
    from llmrec_core.settings import Settings

REPEATS = 7
BATCHES, HISTORY_TOKENS, CANDIDATES = (1, 8), (50, 200), (10, 100, 500)
"""Sizes of a grid whose sizes nobody has chosen."""
TOKENS_PER_ITEM = 8
"""Sizes a profile without a data set: a film title with its separator has 7.6 MiniLM tokens on
average in ml-100k."""


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is profiled: a scorer over drawn tokens."""

    scorer: Scorer
    layout: DrawnTokens
    shape: counts.Shape
    candidate_tokens: int
    backbone: Backbone
    cost_only: bool


def profile_model(
    model: str,
    settings: Settings,
    *,
    batches: Sequence[int] = BATCHES,
    history_tokens: Sequence[int] = HISTORY_TOKENS,
    candidates: Sequence[int] = CANDIDATES,
    candidate_tokens: int = 12,
    precision: str = "fp32",
    runtime: str = "eager",
    device_name: str = "auto",
    depth: int = 0,
    repeats: int = REPEATS,
    account: TimeAccount | None = None,
    progress: Progress = unnoted,
) -> dict[str, Any]:
    """The profile of a model as one JSON document.

    Args:
        model: a backbone, a Hugging Face id, a folder, or the path of a config.json.
        settings: where downloads and probes stand.
        batches: requests at a time.
        history_tokens: lengths of histories.
        candidates: numbers of candidates.
        candidate_tokens: of every candidate.
        precision: of the weights.
        runtime: `eager`, `compile` or `onnx`.
        device_name: `auto`, `cpu`, `cuda` or one of several.
        depth: layers kept, from the first; 0 keeps all.
        repeats: measurements of each size.
        account: notes where the time goes, and has the machine to itself for what is timed.
        progress: called before each size.

    Returns:
        `grid` (a row per size: cold, new-user and again seconds with all samples, FLOPs, MFU),
        `layers` (seconds and FLOPs of each layer's parts at the largest single request),
        `roofline`, `flops` (formula and counted), `peaks`, `conditions`.

    Raises:
        UsageError: for a size that is not positive.
        UnsupportedError: for a size beyond the context, or a precision or runtime this device
            lacks.
    """
    sizes = [Size(*cell) for cell in itertools.product(batches, history_tokens, candidates)]
    smallest = min((min(dataclasses.astuple(size)) for size in sizes), default=0)
    if min(smallest, candidate_tokens, repeats) < 1:
        raise UsageError(
            t(
                "a profile needs at least one batch, history, candidate count and repetition, "
                "each 1 or more"
            )
        )
    where = pick_device(device_name)
    wants_probe = (precision, runtime) != ("fp32", "eager")
    probed = require(precision, runtime, settings, where.type) if wants_probe else None
    account = account or TimeAccount()
    start = time.perf_counter()
    with account.part("load"):
        subject = _subject(model, settings, sizes, candidate_tokens, depth)
        scorer_model = subject.scorer.model.to(where)
        apply_precision(scorer_model, precision)
        apply_runtime(scorer_model, runtime, precision)
    load_s = time.perf_counter() - start
    with account.timed("peaks"):
        peaks = measure_peaks(where.type)
    rows: list[dict[str, Any]] = []
    for size in sizes:
        phase = t("timing the sizes of a grid")
        progress(Step(done=len(rows), total=len(sizes), phase=phase))
        with account.timed("requests"):
            rows.append(_row(subject, size, peaks, repeats))
    single = [size for size in sizes if size.batch == min(batches)]
    largest = max(single, key=lambda size: size.history_tokens * size.candidates)
    layers = None
    if runtime != "onnx":
        with account.timed("layers"):
            layers = layer_rows(
                subject.scorer, subject.layout, largest, subject.shape, candidate_tokens
            )
    with account.part("counting"):
        flops = _counted(subject, largest)
    method = t(
        "seconds of whole requests, device synchronised; the first of a size is `cold`, then "
        "repetitions"
    )
    return {
        "model": model,
        "cost_only": subject.cost_only,
        "provenance": subject.backbone.provenance,
        "weight_bytes": weight_bytes(scorer_model),
        "parameters": sum(p.numel() for p in scorer_model.parameters()),
        "load_s": load_s,
        "peaks": dataclasses.asdict(peaks),
        "grid": rows,
        "layers": layers,
        "roofline": _roofline(subject, largest, rows, peaks),
        "flops": flops,
        "conditions": {
            "device": device.describe().to_dict(),
            "ran_on": str(where),
            "torch": torch.__version__,
            "precision": precision,
            "runtime": runtime,
            "probe": probed.reason if probed else "",
            "candidate_tokens": candidate_tokens,
            "repeats": repeats,
            "method": method,
        },
        "command": _command(
            model,
            precision,
            runtime,
            device_name,
            {
                "batches": batches,
                "history-tokens": history_tokens,
                "candidate-counts": candidates,
                "candidate-tokens": (candidate_tokens,),
                "repeats": () if repeats == REPEATS else (repeats,),
                "depth": (depth,) if depth else (),
            },
        ),
    }


def _subject(
    model: str, settings: Settings, sizes: Sequence[Size], candidate_tokens: int, depth: int
) -> Subject:
    backbone, cost_only = _backbone(model, settings, depth)
    longest_history = max(size.history_tokens for size in sizes)
    longest = longest_history + candidate_tokens
    if longest > backbone.stack.max_tokens:
        raise UnsupportedError(
            t(
                "{history_tokens} history and {candidate_tokens} candidate tokens are "
                "{longest}; {model} reads {max_tokens}: choose a shorter history",
                history_tokens=longest_history,
                candidate_tokens=candidate_tokens,
                longest=longest,
                model=model,
                max_tokens=backbone.stack.max_tokens,
            )
        )
    config = backbone.stack.config
    layout = DrawnTokens(
        config.vocab_size,
        sizes[0].history_tokens,
        max(max(size.candidates, size.batch) for size in sizes),
        candidate_tokens,
    )
    scorer_model = ScorerModel(backbone, cast(PromptLayout, layout), head="linear").eval()
    shape = dataclasses.replace(counts.shape_of(config), layers=len(backbone.stack.blocks))
    return Subject(Scorer(scorer_model), layout, shape, candidate_tokens, backbone, cost_only)


def _command(
    model: str, precision: str, runtime: str, device_name: str, sizes: dict[str, Sequence[int]]
) -> str:
    """The command line that repeats a profile."""
    lists = " ".join(
        f"--{name} {','.join(map(str, values))}" for name, values in sizes.items() if values
    )
    return (
        f"python -m llmrec_core profile --model {model} --grid --precision {precision} "
        f"--runtime {runtime} --device {device_name} {lists} --json"
    )


def _backbone(model: str, settings: Settings, depth: int) -> tuple[Backbone, bool]:
    """The backbone, and whether its weights are random because only a configuration was given."""
    path = Path(model).expanduser()
    if path.is_dir() and not list(path.glob("*.safetensors")) and not list(path.glob("*.bin")):
        path = path / "config.json"
    if path.suffix != ".json":
        return load_backbone(model, settings, depth=depth), False
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    fields = _fields(path)
    kind = fields.pop("model_type")
    config = AutoConfig.for_model(kind, **fields)
    torch.manual_seed(0)
    drawn = (
        AutoModel.from_config(config, add_pooling_layer=False)
        if kind in ENCODERS
        else AutoModelForCausalLM.from_config(config)
    )
    stack = stack_of(drawn.float().eval())
    layers = len(stack.blocks)
    if not 0 <= depth <= layers:
        raise UsageError(
            t(
                "depth {depth}: {path} describes {layers} layers",
                depth=depth,
                path=path,
                layers=layers,
            )
        )
    if depth:
        stack.truncate(depth)
    provenance = t("{name} with random weights: cost only", name=path.name)
    return Backbone(model, stack, None, provenance), True


def _fields(path: Path) -> dict[str, Any]:
    """The fields of a config.json of a known architecture.

    Raises:
        UsageError: when there is no such file.
        CheckpointError: when it is no JSON.
        UnsupportedError: for another architecture, or one with code of its own.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            t("no file {path}; give a model folder or the path of a config.json", path=path)
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(
            t("{path} cannot be read as JSON: {error}", path=path, error=error)
        ) from error
    kind = fields.get("model_type") if isinstance(fields, dict) else None
    if kind not in ARCHITECTURES or fields.get("auto_map"):
        raise UnsupportedError(
            t(
                "{path} describes architecture {kind!r}; supported: {architectures}, without "
                "code of their own",
                path=path,
                kind=kind,
                architectures=", ".join(ARCHITECTURES),
            )
        )
    return dict(fields)


def _row(subject: Subject, size: Size, peaks: Peaks, repeats: int) -> dict[str, Any]:
    """The measurements of one size."""
    scorer, layout = subject.scorer, subject.layout
    layout.resize(size.history_tokens)
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

    for user in range(size.batch):
        layout.history([user])
    cold = request(True)
    new = [request(True) for _ in range(repeats)]
    again = [request(False) for _ in range(repeats)]
    flops = size.batch * counts.shared_flops(
        subject.shape, size.history_tokens, size.candidates, subject.candidate_tokens
    )
    p50 = float(np.median(new))
    return dataclasses.asdict(size) | {
        "cold_s": cold,
        "p50_s": p50,
        "p95_s": float(np.percentile(new, 95)),
        "again_p50_s": float(np.median(again)),
        "samples_s": new,
        "again_samples_s": again,
        "flops": flops,
        "requests_per_s": size.batch / p50,
        "mfu": flops / p50 / peaks.gemm_flops_per_s,
    }


def _roofline(
    subject: Subject, size: Size, rows: list[dict[str, Any]], peaks: Peaks
) -> dict[str, Any]:
    """FLOPs per byte and FLOP/s of the largest single request against both peaks.

    Bytes are counted by rule: each layer's weights once per pass, and what each product reads and
    writes of activations.
    """
    shape, candidate_tokens = subject.shape, subject.candidate_tokens
    row = next(r for r in rows if Size(r["batch"], r["history_tokens"], r["candidates"]) == size)
    passes = 1 + -(-size.candidates * candidate_tokens // CHUNK_TOKENS)
    tokens = size.history_tokens + size.candidates * candidate_tokens
    wide = (shape.heads + shape.kv_heads) * shape.head_dim
    activations = 4 * shape.width + 2 * wide + 2 * shape.feed_forward
    moved = 4.0 * shape.layers * (passes * shape.layer_weights + tokens * activations)
    intensity = row["flops"] / size.batch / moved
    roof = min(peaks.gemm_flops_per_s, intensity * peaks.bandwidth_bytes_per_s)
    return {
        "intensity_flops_per_byte": intensity,
        "bytes": moved,
        "flops_per_s": row["flops"] / row["p50_s"],
        "roof_flops_per_s": roof,
        "ridge_flops_per_byte": peaks.gemm_flops_per_s / peaks.bandwidth_bytes_per_s,
        "bound": "compute" if roof == peaks.gemm_flops_per_s else "memory",
        "size": dataclasses.asdict(size),
    }


def _counted(subject: Subject, size: Size) -> dict[str, Any]:
    """The formula's FLOPs beside torch's count, or why there is none."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    scorer = subject.scorer
    formula = counts.shared_flops(
        subject.shape, size.history_tokens, size.candidates, subject.candidate_tokens
    )
    if scorer.model.engine is not None or has_integer_products(scorer.model):
        return {
            "formula": formula,
            "counted": None,
            "reason": t("torch's counter sees neither int8 products nor ONNX Runtime"),
        }
    scorer.weights_changed()
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        scorer.scores([0], np.arange(size.candidates))
    note = t(
        "counted with the plain attention kernel: the counter gives 0 for the fused "
        "one on a CPU; the head's own product is counted too"
    )
    return {"formula": formula, "counted": counter.get_total_flops(), "reason": note}
