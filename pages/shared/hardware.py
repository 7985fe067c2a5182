"""What Decide, Other hardware and Plan share: the catalogue, runs that can be predicted, precisions."""

from __future__ import annotations

from collections.abc import Sequence

from llmrec_core.costmodel import devices, own_runs
from llmrec_core.costmodel.devices import Device
from llmrec_core.costmodel.model import Coefficients
from llmrec_core.errors import UnsupportedError
from llmrec_core.experiments import elsewhere, views
from pages.shared import records

USUAL = (
    "CPU-2core-AVX2", "CPU-8core-desktop", "Xeon-SPR-32c", "EPYC-9654", "T4", "V100-SXM-16GB", "A10G", "L4", "RTX-3090",
    "RTX-4090", "L40S", "A100-SXM-80GB", "H100-SXM-80GB", "H200-SXM-141GB", "B200",
)  # fmt: skip
"""Devices shown before a reader asks for all."""
AS_MEASURED = "as measured"
PRECISIONS = (AS_MEASURED, "fp32", "tf32", "fp16", "bf16", "int8-dynamic", "int8-weight", "int4-weight")
PRICES = {"on-demand": "On demand", "spot": "Spot", "reserved": "Reserved for a year (60 % of on demand, assumed)"}


def catalogue() -> dict[str, Device]:
    """The devices of the catalogue and the reader's own, by name."""
    return devices.catalogue(records.settings().home)


def coefficients() -> Coefficients:
    """The predictor's coefficients, pulled by the reader's own runs once `estimate --calibrate` has been run."""
    return own_runs.load(records.settings().home)


def calibrated() -> bool:
    """Whether own runs pull the predictions for this machine."""
    return own_runs.path(records.settings().home).exists()


def shipped() -> dict[str, Device]:
    """The devices that come with the product."""
    return devices.shipped()


def predictable(rows: Sequence[views.Row]) -> dict[str, tuple[views.Row, elsewhere.Request]]:
    """Run id → finished run and its request, for runs whose language model reads a prompt; best NDCG@10 first."""
    found = {}
    for row in rows:
        if row.state != "finished":
            continue
        try:
            found[row.run_id] = (row, elsewhere.request_of(row))
        except UnsupportedError:
            continue
    return dict(sorted(found.items(), key=lambda pair: -(pair[1][0].figure("ndcg@10").value or 0.0)))


def best_cross_encoder(found: dict[str, tuple[views.Row, elsewhere.Request]]) -> int:
    """Position of the best cross-encoder among predictable runs, 0 when there is none."""
    kinds = [row.spec.recommender.family for row, _ in found.values()]
    return kinds.index("cross-encoder") if "cross-encoder" in kinds else 0
