"""Bounded kinds of values that the tables of a spec, requests and plans share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from llmrec_core.contract.parsing import Number, Text, Whole

Name = Annotated[Text, Field(max_length=500)]
Seed = Annotated[Whole, Field(ge=0, le=2**31 - 1)]
"""A seed that NumPy, torch and `implicit` all take."""
Precision = Literal["fp32", "tf32", "bf16", "fp16", "int8", "int8-dynamic", "int4"]
Runtime = Literal["eager", "compile", "onnx"]
Device = Annotated[Text, Field(pattern=r"^(auto|cpu|cuda(:[0-9]{1,3})?)$")]
"""`auto` takes an NVIDIA GPU where torch sees one; `cuda:1` names one of several."""
HistoryAttention = Literal["shared", "per_item", "full"]
Users = Annotated[Whole, Field(ge=0, le=1_000_000_000)]
"""A number of people; 0 takes all."""
Minutes = Annotated[Number, Field(gt=0, le=1_000_000)]
Steps = Annotated[Whole, Field(ge=1, le=100_000_000)]
Layers = Annotated[Whole, Field(ge=0, le=1_000)]
Labels = Annotated[
    tuple[Annotated[Whole, Field(ge=2, le=1_000_000_000)], ...], Field(min_length=1, max_length=100)
]
"""Numbers of labels from which something is learned, a point of a curve each."""
Draws = Annotated[Whole, Field(ge=1, le=1_000)]
"""How often labels are drawn, each time with a seed of its own."""
