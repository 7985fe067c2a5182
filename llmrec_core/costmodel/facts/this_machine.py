"""The user's own machine as a device: peaks measured here stand where a data sheet's would.

`profile` remembers it, and so does `estimate --measure`; both take seconds. Afterwards
`--device this-machine` works like any name of the catalogue.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmrec_core.costmodel.facts import devices
from llmrec_core.costmodel.facts.devices import Device
from llmrec_core.errors import UsageError
from llmrec_core.language import t

THIS = "this-machine"
WATTS_PER_CORE = 15.0
"""Rated power of a processor nobody can read, per core (assumed)."""


def device_of(
    machine: Mapping[str, Any],
    flops_per_s: float,
    bytes_per_s: float,
    half_flops_per_s: float | None = None,
) -> Device:
    """A catalogue row of a machine from its measured peaks.

    Args:
        machine: `profiling.device.describe().to_dict()`, or the same document of a run.
        flops_per_s: best fp32 matrix product.
        bytes_per_s: best copy, reading and writing counted.
        half_flops_per_s: best 16-bit matrix product, of a GPU.

    Raises:
        UsageError: for a peak that is not above 0.
    """
    for name, value in (("FLOP/s", flops_per_s), ("bytes/s", bytes_per_s)):
        if not 0 < value < math.inf:
            raise UsageError(
                t(
                    "the measured {name} is {value:g}; expected a number above 0",
                    name=name,
                    value=value,
                )
            )
    gpu = machine["gpus"][0] if machine.get("gpus") else None
    cores = int(machine.get("cores") or 1)
    return Device(
        name=THIS,
        kind="gpu" if gpu else "cpu",
        architecture=str(gpu["name"] if gpu else machine.get("cpu", "")),
        process_nm=7.0,
        memory_gb=((gpu or machine).get("memory_bytes") or 0) / 1e9 or None,
        bandwidth_gb_s=bytes_per_s / 1e9,
        fp32_tflops=flops_per_s / 1e12,
        tf32_tflops=None,
        fp16_tflops=half_flops_per_s / 1e12 if half_flops_per_s else None,
        bf16_tflops=None,
        fp8_tflops=None,
        fp4_tflops=None,
        int8_tops=None,
        tdp_w=gpu.get("power_limit_w") if gpu else WATTS_PER_CORE * cores,
        link_gb_s=16.0,
        cores=cores,
        own=True,
        source=t("measured here: best fp32 product and copy of several"),
    )


def remember(home: Path, device: Device) -> Device:
    """Keep the better of the new and the remembered peaks.

    Load only ever makes a peak look lower, so the best reading of a machine is its peak.

    Args:
        home: where the user's own devices are kept.
        device: the machine as measured now.

    Returns:
        What is remembered now.
    """
    before = devices.catalogue(home).get(device.name)
    if before is not None and before.architecture == device.architecture:
        device = replace(
            device,
            bandwidth_gb_s=max(before.bandwidth_gb_s, device.bandwidth_gb_s),
            fp32_tflops=max(before.fp32_tflops, device.fp32_tflops),
            fp16_tflops=max(before.fp16_tflops or 0.0, device.fp16_tflops or 0.0) or None,
        )
    devices.add_own(home, device)
    return device
