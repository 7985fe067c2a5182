"""The device catalogue: dense peaks, bandwidth, memory, power; plus the user's own devices."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from llmrec_core.costmodel.facts import csv_facts
from llmrec_core.errors import DataError, UnsupportedError, UsageError
from llmrec_core.files import write_csv
from llmrec_core.language import t

ALIASES = {
    "a100": "A100-SXM-80GB",
    "a100-80gb": "A100-SXM-80GB",
    "a100-40gb": "A100-SXM-40GB",
    "a100-pcie": "A100-PCIe-80GB",
    "h100": "H100-SXM-80GB",
    "h100-80gb": "H100-SXM-80GB",
    "h100-pcie": "H100-PCIe-80GB",
    "h100-sxm": "H100-SXM-80GB",
    "h100-nvl": "H100-NVL-94GB",
    "h200": "H200-SXM-141GB",
    "h200-sxm": "H200-SXM-141GB",
    "h20": "H20-96GB",
    "gh200": "GH200-96GB",
    "v100": "V100-SXM-16GB",
    "v100-16gb": "V100-SXM-16GB",
    "v100-32gb": "V100-SXM-32GB",
    "v100-sxm3-32gb-dgx2": "V100-SXM-32GB",
    "v100-pcie": "V100-PCIe-16GB",
    "p100": "P100-PCIe-16GB",
    "4090": "RTX-4090",
    "3090": "RTX-3090",
    "5090": "RTX-5090",
    "a6000": "RTX-A6000",
    "rtx-6000-ada": "RTX-6000-Ada",
    "rtx6000ada": "RTX-6000-Ada",
    "cpu": "Xeon-8480+",
    "xeon-spr-aws-m7i.16xlarge": "Xeon-SPR-32c",
    "xeon-8275cl-c5.2xlarge-4threads": "Xeon-8275CL",
}
CORE_GB_S = 12.0
"""Bandwidth that one core of a processor can ask for (assumed)."""
TYPICAL_NM, TYPICAL_LINK_GB_S, TYPICAL_L2_MB = 7.0, 16.0, 6.0
"""Of a device whose sheet is silent."""


@dataclass(frozen=True)
class Device:
    """Data sheet of one device; None where the sheet is silent.

    Peaks are dense, not with sparsity.
    """

    name: str
    kind: str
    """`gpu` or `cpu`."""
    architecture: str
    process_nm: float
    memory_gb: float | None
    """Gigabytes (10^9) on the device; None for processors, whose memory is the machine's."""
    bandwidth_gb_s: float
    fp32_tflops: float
    tf32_tflops: float | None
    fp16_tflops: float | None
    bf16_tflops: float | None
    fp8_tflops: float | None
    fp4_tflops: float | None
    int8_tops: float | None
    tdp_w: float | None
    link_gb_s: float
    """One direction between two devices of one machine."""
    l2_mb: float = TYPICAL_L2_MB
    cores: int = 0
    multiprocessors: int = 0
    """Streaming multiprocessors or compute units; 0 when the sheet is silent."""
    boost_ghz: float = 0.0
    own: bool = False
    """Peaks were measured on the user's machine, not read off a data sheet."""
    verified: bool = False
    source: str = ""

    def peak(self, precision: str) -> float:
        """Dense peak in FLOP/s at the arithmetic a precision computes in.

        Weight-only formats compute in 16 bit.

        Raises:
            UnsupportedError: when the device has no such arithmetic.
        """
        name = arithmetic(precision)
        tflops = self._tflops().get(name)
        if not tflops:
            raise UnsupportedError(
                t(
                    "{device} has no {name} arithmetic; it has {precisions}",
                    device=self.name,
                    name=name,
                    precisions=", ".join(self.precisions()),
                )
            )
        return tflops * 1e12

    def _tflops(self) -> dict[str, float | None]:
        """Peak at each arithmetic, a processor's and an own machine's filled in."""
        processor = self.kind == "cpu"
        half = self.fp16_tflops or self.bf16_tflops
        return {
            "fp32": self.fp32_tflops,
            "tf32": self.tf32_tflops or self.fp32_tflops,
            "fp16": (self.bf16_tflops or self.fp32_tflops) if processor else half,
            "bf16": self.bf16_tflops or (self.fp32_tflops if processor else None),
            # twice fp32, as AVX2 multiplies, until own runs say otherwise
            "int8": self.int8_tops or (2.0 * self.fp32_tflops if self.own else None),
            "fp8": self.fp8_tflops,
            "fp4": self.fp4_tflops,
        }

    def precisions(self) -> list[str]:
        """Arithmetic the device has a peak for."""
        stated = {
            "fp32": self.fp32_tflops,
            "tf32": self.tf32_tflops,
            "fp16": self.fp16_tflops or (self.kind == "cpu" and self.fp32_tflops),
            "bf16": self.bf16_tflops,
            "fp8": self.fp8_tflops,
            "fp4": self.fp4_tflops,
            "int8": self.int8_tops or self.own,
        }
        return [name for name, value in stated.items() if value]

    @property
    def family(self) -> str:
        """The chip: A100-SXM-40GB and A100-PCIe-80GB are both `A100`."""
        return self.name if self.kind == "cpu" else re.split(r"-(SXM|PCIe|NVL|\d+GB)", self.name)[0]


def arithmetic(precision: str) -> str:
    """What the products of a precision are computed in: fp32, tf32, fp16, bf16, int8, fp8, fp4.

    Raises:
        UsageError: for a precision nobody knows.
    """
    low = precision.lower()
    if low.startswith(("int4", "nf4", "int8-gptq", "int8-weight")):
        return "fp16"
    for name in ("fp32", "tf32", "fp16", "bf16", "fp8", "fp4"):
        if low.startswith(name):
            return name
    if low.startswith("int8"):
        return "int8"
    if low == "int16":
        return "fp32"
    raise UsageError(
        t(
            "unknown precision {precision!r}; expected fp32, tf32, fp16, bf16, fp8, fp4, int8, "
            "int4-gptq …",
            precision=precision,
        )
    )


TEXT_COLUMNS = ("name", "kind", "architecture", "verified_fields", "source")
LARGEST_FIGURE = 1e9
"""Of any figure of a data sheet."""


def _figures(row: Mapping[str, str]) -> dict[str, float | None]:
    """The numbers of a row; None for an empty cell.

    Raises:
        DataError: for a cell that is no number of a data sheet.
    """
    figures = {}
    for column, text in row.items():
        if column in TEXT_COLUMNS:
            continue
        try:
            value = csv_facts.number(text)
        except (TypeError, ValueError):
            value = math.nan
        if value is not None and not 0 <= value <= LARGEST_FIGURE:
            raise DataError(
                t(
                    "device {name!r}: {column} is {text!r}; expected a number from 0 to {most:g}",
                    name=row.get("name"),
                    column=column,
                    text=text,
                    most=LARGEST_FIGURE,
                )
            )
        figures[column] = value
    return figures


def _row(row: Mapping[str, str]) -> Device:
    """A device from a row of a catalogue.

    Raises:
        DataError: for a row without bandwidth or arithmetic, or with a cell that is no number.
    """
    figures = _figures(row)
    bandwidth = figures["bandwidth_gb_s"]
    if not bandwidth:
        raise DataError(
            t("device {name!r} has no memory bandwidth; expected GB/s above 0", name=row["name"])
        )
    half = figures["bf16_tflops"] or figures["fp16_tflops"] or 0.0
    fp32 = figures["fp32_tflops"] or half / 8
    if not fp32:
        raise DataError(
            t("device {name!r} has no peak; expected TFLOP/s above 0", name=row["name"])
        )
    return Device(
        name=row["name"],
        kind=row["kind"],
        architecture=row["architecture"],
        process_nm=figures["process_nm"] or TYPICAL_NM,
        memory_gb=figures["memory_gb"] or None,
        bandwidth_gb_s=bandwidth,
        fp32_tflops=fp32,
        tf32_tflops=figures["tf32_tflops"],
        fp16_tflops=figures["fp16_tflops"],
        bf16_tflops=figures["bf16_tflops"],
        fp8_tflops=figures["fp8_tflops"],
        fp4_tflops=figures.get("fp4_tflops"),
        int8_tops=figures["int8_tops"],
        tdp_w=figures["tdp_w"] or None,
        link_gb_s=figures["link_gb_s"] or TYPICAL_LINK_GB_S,
        l2_mb=figures["l2_mb"] or TYPICAL_L2_MB,
        cores=int(figures["cores"] or 0),
        multiprocessors=int(figures["multiprocessors"] or 0),
        boost_ghz=figures["boost_ghz"] or 0.0,
        verified="mem_bandwidth_gb_s" in row["verified_fields"],
        source=row["source"],
    )


@lru_cache(maxsize=1)
def shipped() -> dict[str, Device]:
    """The catalogue that comes with the product, by name."""
    return {row["name"]: _row(row) for row in csv_facts.rows("hardware")}


def own_path(home: Path) -> Path:
    """Where the user's own devices are kept."""
    return home / "costmodel" / "devices.csv"


def catalogue(home: Path | None = None) -> dict[str, Device]:
    """Shipped devices, and those the user added under `home`.

    Raises:
        DataError: for a row of the user's that is no device, with its line.
    """
    devices = dict(shipped())
    if home is None or not own_path(home).exists():
        return devices
    blank = dict.fromkeys(csv_facts.rows("hardware")[0], "")
    with own_path(home).open(newline="", encoding="utf-8") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            cells = {name: row.get(name) or "" for name in blank}
            try:
                device = _row(cells)
            except DataError as error:
                raise DataError(
                    t(
                        "{path} line {line} is no device: {error}",
                        path=own_path(home),
                        line=line,
                        error=error,
                    )
                ) from error
            devices[device.name] = replace(device, own=True)
    return devices


def add_own(home: Path, device: Device) -> None:
    """Remember a device of the user's; one of the same name is replaced.

    Args:
        home: where the user's own devices are kept.
        device: what to remember.
    """
    kept = {name: own for name, own in catalogue(home).items() if name not in shipped()}
    kept[device.name] = device
    columns = list(csv_facts.rows("hardware")[0])
    write_csv(own_path(home), columns, (asdict(own) for own in kept.values()))


def named(name: str, catalogued: Mapping[str, Device] | None = None) -> Device:
    """A device by name or alias; some cores of a processor are written `Xeon-8480+:32`.

    Args:
        name: as people write it.
        catalogued: devices by name; the shipped ones when not given.

    Raises:
        UsageError: for an unknown name, with near ones.
    """
    catalogued = shipped() if catalogued is None else catalogued
    wanted, _, cores = name.strip().partition(":")
    by_lower = {key.lower(): device for key, device in catalogued.items()}
    key = wanted.lower().removeprefix("nvidia-").removeprefix("nvidia ")
    key = key.replace(" ", "-").replace("_", "-")
    device = by_lower.get(key) or catalogued.get(ALIASES.get(key, ""))
    if device is not None:
        return share(device, int(cores)) if cores.isdecimal() and int(cores) > 0 else device
    if key == "this-machine":
        raise UsageError(
            t(
                "this machine was not measured yet; run `python -m llmrec_core estimate "
                "--measure` or `profile`"
            )
        )
    raise UsageError(
        t(
            "unknown device {name!r}; near names: {near}",
            name=name,
            near=csv_facts.nearest(wanted, [*catalogued, *ALIASES]),
        )
    )


def share(device: Device, cores: int) -> Device:
    """Some of the cores of a processor: arithmetic in proportion, bandwidth by the core.

    Args:
        device: the whole processor.
        cores: how many of its cores.

    Raises:
        UsageError: for a device without cores, or with fewer.
    """
    if device.kind != "cpu" or not device.cores:
        raise UsageError(
            t(
                "{name} cannot be taken in cores; only processors with a known number of cores",
                name=device.name,
            )
        )
    if cores > device.cores:
        raise UsageError(
            t(
                "{name} has {cores} cores; {wanted} were asked for",
                name=device.name,
                cores=device.cores,
                wanted=cores,
            )
        )
    part = cores / device.cores

    def scaled(value: float | None) -> float | None:
        return None if value is None else value * part

    return replace(
        device,
        name=f"{device.name}:{cores}",
        fp32_tflops=device.fp32_tflops * part,
        tf32_tflops=scaled(device.tf32_tflops),
        fp16_tflops=scaled(device.fp16_tflops),
        bf16_tflops=scaled(device.bf16_tflops),
        int8_tops=scaled(device.int8_tops),
        tdp_w=scaled(device.tdp_w),
        bandwidth_gb_s=min(device.bandwidth_gb_s, CORE_GB_S * cores),
        cores=cores,
    )
