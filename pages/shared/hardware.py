"""What Decide, Other hardware and Plan share: devices, runs that can be predicted, precisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llmrec_core.costmodel.calibrate import own_runs
from llmrec_core.costmodel.facts import devices
from llmrec_core.costmodel.facts.devices import Device
from llmrec_core.costmodel.predict.predictor import Coefficients
from llmrec_core.costmodel.predict.request import Request
from llmrec_core.errors import UnsupportedError
from llmrec_core.reading import other_devices
from llmrec_core.reading.row import Row
from pages.shared import records

USUAL = (
    "CPU-2core-AVX2",
    "CPU-8core-desktop",
    "Xeon-SPR-32c",
    "EPYC-9654",
    "T4",
    "V100-SXM-16GB",
    "A10G",
    "L4",
    "RTX-3090",
    "RTX-4090",
    "L40S",
    "A100-SXM-80GB",
    "H100-SXM-80GB",
    "H200-SXM-141GB",
    "B200",
)
"""Devices shown before a reader asks for all."""
AS_MEASURED = "measured"
"""The precision of the run itself, in an address."""
PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "int8-dynamic", "int8-weight", "int4-weight")


def precisions(own: str) -> dict[str, str]:
    """What a picker of precisions shows by id.

    Args:
        own: how the run's own precision is called.
    """
    return {AS_MEASURED: own} | {name: name for name in PRECISIONS}


def catalogue() -> dict[str, Device]:
    """The devices of the catalogue and the reader's own, by name."""
    return devices.catalogue(records.settings().home)


def coefficients() -> Coefficients:
    """The predictor's coefficients, pulled by own runs once `estimate --calibrate` was run."""
    return own_runs.load(records.settings().home)


def calibrated() -> bool:
    """Whether own runs pull the predictions for this machine."""
    return own_runs.path(records.settings().home).exists()


def shipped() -> dict[str, Device]:
    """The devices that come with the product."""
    return devices.shipped()


def predictable(rows: Sequence[Row]) -> dict[str, tuple[Row, Request]]:
    """Run id → finished run and its request, where a language model reads a prompt.

    Best NDCG@10 first.
    """
    able = {}
    for row in rows:
        if row.state != "finished":
            continue
        try:
            able[row.run_id] = (row, other_devices.request_of(row))
        except UnsupportedError:
            continue
    return dict(sorted(able.items(), key=lambda pair: -(pair[1][0].figure("ndcg@10").value or 0.0)))


def best_cross_encoder(able: Mapping[str, tuple[Row, Request]]) -> int:
    """Position of the best cross-encoder among predictable runs, 0 when there is none."""
    kinds = [row.spec.recommender.family for row, _ in able.values()]
    return kinds.index("cross-encoder") if "cross-encoder" in kinds else 0
