"""The device catalogue: dense peaks, bandwidth, memory, power; plus the user's own devices."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from llmrec_core.costmodel import tables
from llmrec_core.errors import DataError, UnsupportedError, UsageError

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


@dataclass(frozen=True)
class Device:
    """Data sheet of one device; None where the sheet is silent. Peaks are dense, not with sparsity."""

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
    int8_tops: float | None
    tdp_w: float | None
    link_gb_s: float
    """One direction between two devices of one machine."""
    l2_mb: float = 6.0
    cores: int = 0
    multiprocessors: int = 0
    """Streaming multiprocessors or compute units; 0 when the sheet is silent."""
    boost_ghz: float = 0.0
    own: bool = False
    """Peaks were measured on the user's machine, not read off a data sheet."""
    verified: bool = False
    source: str = ""

    def peak(self, precision: str) -> float:
        """Dense peak in FLOP/s at the arithmetic a precision computes in; weight-only formats compute in 16 bit.

        Raises:
            UnsupportedError: when the device has no such arithmetic.
        """
        name = arithmetic(precision)
        half = self.fp16_tflops or self.bf16_tflops
        found = {
            "fp32": self.fp32_tflops,
            "tf32": self.tf32_tflops or self.fp32_tflops,
            "fp16": half,
            "bf16": self.bf16_tflops or (self.fp32_tflops if self.kind == "cpu" else None),
            "int8": self.int8_tops or (2.0 * self.fp32_tflops if self.own else None),  # as AVX2, until own runs tell
            "fp8": self.fp8_tflops,
        }[name]
        if name == "fp16" and self.kind == "cpu":
            found = self.bf16_tflops or self.fp32_tflops
        if not found:
            raise UnsupportedError(f"{self.name} has no {name} arithmetic; it has {', '.join(self.precisions())}")
        return found * 1e12

    def precisions(self) -> list[str]:
        """Arithmetic the device has a peak for."""
        known = {
            "fp32": self.fp32_tflops,
            "tf32": self.tf32_tflops,
            "fp16": self.fp16_tflops or (self.kind == "cpu" and self.fp32_tflops),
            "bf16": self.bf16_tflops,
            "fp8": self.fp8_tflops,
            "int8": self.int8_tops or self.own,
        }
        return [name for name, value in known.items() if value]

    @property
    def family(self) -> str:
        """The chip: all variants of one (A100-SXM-40GB and A100-PCIe-80GB are `A100`)."""
        return self.name if self.kind == "cpu" else re.split(r"-(SXM|PCIe|NVL|\d+GB)", self.name)[0]


def arithmetic(precision: str) -> str:
    """fp32, tf32, fp16, bf16, int8 or fp8: what the products of a precision are computed in.

    Raises:
        UsageError: for a precision nobody knows.
    """
    low = precision.lower()
    if low.startswith(("int4", "nf4", "int8-gptq", "int8-weight")):
        return "fp16"
    for name in ("fp32", "tf32", "fp16", "bf16", "fp8"):
        if low.startswith(name):
            return name
    if low.startswith("int8"):
        return "int8"
    if low == "int16":
        return "fp32"
    raise UsageError(f"unknown precision {precision!r}; expected fp32, tf32, fp16, bf16, fp8, int8, int4-gptq …")


def _row(row: dict[str, str]) -> Device:
    numbers = {key: tables.number(row.get(key)) for key in row if key not in TEXT}
    bandwidth = numbers["bandwidth_gb_s"]
    if not bandwidth or bandwidth <= 0:
        raise DataError(f"device {row.get('name')!r} has no memory bandwidth; expected GB/s above 0")
    half = numbers.get("bf16_tflops") or numbers.get("fp16_tflops") or 0.0
    return Device(
        name=row["name"],
        kind=row["kind"],
        architecture=row["architecture"],
        process_nm=numbers.get("process_nm") or 7.0,
        memory_gb=numbers.get("memory_gb"),
        bandwidth_gb_s=bandwidth,
        fp32_tflops=numbers.get("fp32_tflops") or half / 8,
        tf32_tflops=numbers.get("tf32_tflops"),
        fp16_tflops=numbers.get("fp16_tflops"),
        bf16_tflops=numbers.get("bf16_tflops"),
        fp8_tflops=numbers.get("fp8_tflops"),
        int8_tops=numbers.get("int8_tops"),
        tdp_w=numbers.get("tdp_w"),
        link_gb_s=numbers.get("link_gb_s") or 16.0,
        l2_mb=numbers.get("l2_mb") or 6.0,
        cores=int(numbers.get("cores") or 0),
        multiprocessors=int(numbers.get("multiprocessors") or 0),
        boost_ghz=numbers.get("boost_ghz") or 0.0,
        verified="mem_bandwidth_gb_s" in row.get("verified_fields", ""),
        source=row.get("source", ""),
    )


TEXT = ("name", "kind", "architecture", "verified_fields", "source")


@lru_cache(maxsize=1)
def shipped() -> dict[str, Device]:
    """The catalogue that comes with the product, by name."""
    return {row["name"]: _row(row) for row in tables.rows("hardware")}


def own_path(home: Path) -> Path:
    """Where the user's own devices are kept."""
    return home / "costmodel" / "devices.csv"


def catalogue(home: Path | None = None) -> dict[str, Device]:
    """Shipped devices, and those the user added under `home`."""
    found = dict(shipped())
    if home is not None and own_path(home).exists():
        with own_path(home).open(newline="", encoding="utf-8") as file:
            for line, row in enumerate(csv.DictReader(file), start=2):
                try:
                    device = _row({**dict.fromkeys(tables.rows("hardware")[0], ""), **row})
                except (KeyError, ValueError, TypeError) as error:
                    raise DataError(f"{own_path(home)} line {line} is no device: {error}") from error
                found[device.name] = replace(device, own=True)
    return found


def add_own(home: Path, device: Device) -> None:
    """Remember a device of the user's; one of the same name is replaced."""
    path = own_path(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    known = {name: one for name, one in catalogue(home).items() if name not in shipped()}
    known[device.name] = device
    fields = list(tables.rows("hardware")[0])
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        writer.writeheader()
        for one in known.values():
            writer.writerow(
                {field: getattr(one, field, "") if getattr(one, field, "") is not None else "" for field in fields}
            )


def named(name: str, known: dict[str, Device] | None = None) -> Device:
    """A device by name or alias; `32 of Xeon-8480+` style slices are written `Xeon-8480+:32`.

    Raises:
        UsageError: unknown name, with near ones.
    """
    known = shipped() if known is None else known
    wanted, _, cores = name.strip().partition(":")
    folded = {one.lower(): one for one in known}
    key = wanted.lower().removeprefix("nvidia-").removeprefix("nvidia ").replace(" ", "-").replace("_", "-")
    found = known.get(folded.get(key, "")) or known.get(ALIASES.get(key, ""))
    if found is None and key == "this-machine":
        raise UsageError(
            "this machine was not measured yet; run `python -m llmrec_core estimate --measure` or `profile`"
        )
    if found is None:
        raise UsageError(f"unknown device {name!r}; near names: {tables.nearest(wanted, [*known, *ALIASES])}")
    return share(found, int(cores)) if cores.isdigit() and int(cores) > 0 else found


def share(device: Device, cores: int) -> Device:
    """Some of the cores of a processor: arithmetic in proportion, bandwidth up to 12 GB/s for each (assumed)."""
    if device.kind != "cpu" or not device.cores:
        raise UsageError(f"{device.name} cannot be taken in cores; only processors with a known number of cores")
    if cores > device.cores:
        raise UsageError(f"{device.name} has {device.cores} cores; {cores} were asked for")
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
        bandwidth_gb_s=min(device.bandwidth_gb_s, 12.0 * cores),
        cores=cores,
    )
