"""A recommendation request as a question to the predictor: one packed pass, asked as the plain pass of the same FLOPs."""

from __future__ import annotations

from llmrec_core.costmodel import counts
from llmrec_core.costmodel.architecture import Architecture
from llmrec_core.costmodel.devices import Device
from llmrec_core.costmodel.query import Framework, Query, framework

READERS = ("cross-encoder", "decoder", "cascade")
"""Families whose backbone reads a prompt at every request; the others only look up what was encoded before."""
PRECISIONS = {"int8": "int8-weight", "int4": "int4-weight"}
"""Precisions of a run whose name means something else to the cost model."""
RUNTIMES = {"eager": "pytorch", "compile": "torch.compile", "onnx": "onnxruntime"}


def precision_of(name: str) -> str:
    """A run's precision as the cost model calls it."""
    return PRECISIONS.get(name, name)


def runtime_of(name: str) -> Framework:
    """A run's runtime as the cost model knows it; eager PyTorch for an unknown one."""
    return framework(RUNTIMES.get(name, "pytorch"))


def mode_of(history_attention: str) -> str:
    """A run's mode as the cost model calls it.

    A run whose history items do not see each other still reads its history with each request, so it costs what `shared` does;
    the cost model's `per_item` is the price with all items' keys and values kept.
    """
    return "full" if history_attention == "full" else "shared"


def request_query(
    model: Architecture,
    device: Device,
    *,
    history_tokens: float,
    candidates: float,
    candidate_tokens: float,
    mode: str = "shared",
    requests: float = 1.0,
    precision: str = "fp32",
    runtime: Framework | None = None,
    flops: float | None = None,
) -> Query:
    """Latency in ms of `requests` requests at a time.

    The pass asked for has sequences of one history and one candidate, as many as give the FLOPs of the packed pass.

    Args:
        model: the backbone, cut to its depth.
        device: where it runs.
        history_tokens: tokens of a user's history.
        candidates: items offered.
        candidate_tokens: tokens of one item.
        mode: `full`, `shared` or `per_item`.
        requests: users scored together.
        precision: fp32, fp16, int8 …
        runtime: eager PyTorch when not given.
        flops: FLOPs of one request when they were counted; else by formula.
    """
    tokens = history_tokens + candidate_tokens
    wanted = flops or counts.request_flops(model, mode, history_tokens, candidates, candidate_tokens)
    each = counts.forward_flops(model, 1.0, tokens)
    return Query(
        model=model,
        device=device,
        task="inference" if model.kind == "encoder" else "prefill",
        metric="latency_ms",
        precision=precision,
        batch=max(1.0, requests * wanted / each),
        input_tokens=tokens,
        runtime=runtime or framework("pytorch"),
    )
