"""A recommendation request as the cost model asks about it: one user's candidates, read once.

The packed pass of a request (profiling/counts.py) is asked as a plain pass of the same FLOPs:
sequences of one history and one candidate, as many as give them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from llmrec_core.costmodel.facts import bounds
from llmrec_core.costmodel.facts.architecture import Architecture
from llmrec_core.costmodel.facts.devices import Device
from llmrec_core.costmodel.predict import counts, predictor
from llmrec_core.costmodel.predict.memory import GIB
from llmrec_core.costmodel.predict.predictor import Coefficients
from llmrec_core.costmodel.predict.query import Framework, Query, framework
from llmrec_core.costmodel.predict.span import Span

MODES = ("full", "shared", "per_item")
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

    A run whose history items do not see each other still reads its history with each request, so
    it costs what `shared` does. The cost model's `per_item` is the price with all items' keys and
    values kept.
    """
    return "full" if history_attention == "full" else "shared"


def sequences_read(notes: Mapping[str, Any], candidates: int) -> int:
    """Sequences that a request reads after its history.

    Args:
        notes: of the run's record about its model.
        candidates: that the model is given; a model that reads them one by one has so many, one
            that reads whole lists has one for each order of the list.
    """
    return int(notes.get("lists_read") or candidates)


@dataclass(frozen=True)
class Request:
    """One user's list: a history, and the candidates that the model reads."""

    architecture: Architecture
    """The backbone, cut to its depth."""
    history_tokens: float = 160.0
    candidate_tokens: float = 12.0
    """Tokens of one candidate."""
    candidates: int = 100
    """Candidates that the model reads."""
    mode: str = "shared"
    """`full`: each pair alone; `shared`: the history once; `per_item`: items from a cache."""
    precision: str = "fp16"
    runtime: Framework = field(default_factory=lambda: framework("pytorch"))
    flops: float | None = None
    """FLOPs of the request where they were counted; by formula when None."""

    def __post_init__(self) -> None:
        bounds.check(
            history_tokens=self.history_tokens,
            candidate_tokens=self.candidate_tokens,
            candidates=self.candidates,
        )

    def kept(self, keep: int) -> Request:
        """The request of a cascade whose model reads the best `keep` candidates; 0 reads all."""
        bounds.check(keep=keep)
        return replace(self, candidates=min(keep or self.candidates, self.candidates))

    def counted_flops(self) -> float:
        """FLOPs of one request."""
        return self.flops or counts.request_flops(
            self.architecture,
            self.mode,
            self.history_tokens,
            self.candidates,
            self.candidate_tokens,
        )

    def latency_query(self, device: Device, requests: float = 1.0) -> Query:
        """The question for the milliseconds of `requests` requests scored together on a device."""
        tokens = self.history_tokens + self.candidate_tokens
        each = counts.forward_flops(self.architecture, 1.0, tokens)
        return Query(
            model=self.architecture,
            device=device,
            task="inference" if self.architecture.kind == "encoder" else "prefill",
            metric="latency_ms",
            precision=self.precision,
            batch=max(1.0, requests * self.counted_flops() / each),
            input_tokens=tokens,
            runtime=self.runtime,
        )

    def seconds(
        self, device: Device, requests: float = 1.0, coefficients: Coefficients | None = None
    ) -> tuple[Span, str]:
        """Seconds of `requests` requests scored together, and what there is to say about it.

        Args:
            device: where they are scored.
            requests: how many users' lists at a time.
            coefficients: pulled by own runs; the product's when not given.

        Raises:
            UnsupportedError: when the device lacks the arithmetic.
        """
        answer = predictor.predict(self.latency_query(device, requests), coefficients)
        return Span(answer.value, answer.low80, answer.high80).times(1e-3), answer.note

    def memory_gb(self, device: Device, requests: float = 1.0) -> Span:
        """Gigabytes (10^9) on the device with `requests` requests at a time."""
        query = Query(
            model=self.architecture,
            device=device,
            task="inference",
            metric="memory_gb",
            precision=self.precision,
            batch=requests,
            input_tokens=self.history_tokens + self.candidates * self.candidate_tokens,
            runtime=self.runtime,
        )
        answer = predictor.predict(query)
        unit = GIB if self.runtime.gib else 1.0
        return Span(answer.value, answer.low80, answer.high80).times(unit)
