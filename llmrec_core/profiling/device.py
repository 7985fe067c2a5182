"""The machine as found, without torch: processor, memory, GPUs, and which counters it has."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from llmrec_core.language import marked, t
from llmrec_core.profiling.energy import energy_counter
from llmrec_core.profiling.live_load import clock_hz
from llmrec_core.profiling.nvml import Nvml, as_text

CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU; a reading that does not exist is `None`."""

    index: int
    name: str
    memory_bytes: int | None
    driver: str | None
    power_limit_w: float | None
    energy_counter: bool


@dataclass(frozen=True)
class Device:
    """What a run record keeps of the machine."""

    name: str
    """One phrase: the GPUs, else the CPU."""
    cpu: str
    cores: int
    threads: int
    memory_bytes: int
    system: str
    gpus: tuple[Gpu, ...]
    gpu_reason: str | None
    """Why there is no GPU in the list, else `None`."""
    torch: str | None
    """Installed torch, e.g. `2.13.0+cpu`, from its metadata."""
    energy: str
    """What the energy counters count, or "not measured: reason"."""

    def to_dict(self) -> dict[str, Any]:
        """The machine as JSON."""
        return dataclasses.asdict(self)


def _cpu_lines() -> list[str]:
    try:
        return CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _cpu_name() -> str:
    for line in _cpu_lines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or t("unknown CPU")


def _gpus() -> tuple[tuple[Gpu, ...], str | None]:
    with Nvml() as nvml:
        gpus = tuple(_gpu(nvml, index, handle) for index, handle in enumerate(nvml.handles()))
        return gpus, None if gpus else nvml.reason


def _gpu(nvml: Nvml, index: int, handle: object) -> Gpu:
    api = nvml.api
    memory, _ = nvml.read(api.nvmlDeviceGetMemoryInfo, handle)
    limit_mw, _ = nvml.read(api.nvmlDeviceGetPowerManagementLimit, handle)
    counter, _ = nvml.read(api.nvmlDeviceGetTotalEnergyConsumption, handle)
    return Gpu(
        index,
        as_text(nvml.read(api.nvmlDeviceGetName, handle)[0]) or t("NVIDIA GPU"),
        memory.total if memory else None,
        as_text(nvml.read(api.nvmlSystemGetDriverVersion)[0]),
        limit_mw / 1000 if limit_mw is not None else None,
        counter is not None,
    )


def torch_build() -> str | None:
    """Version of the installed torch from its metadata; torch itself is not imported."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


def describe() -> Device:
    """The machine as found."""
    gpus, reason = _gpus()
    counter = energy_counter()
    cpu = _cpu_name()
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return Device(
        _name(gpus, cpu, cores),
        cpu,
        cores,
        psutil.cpu_count() or cores,
        psutil.virtual_memory().total,
        f"{platform.system()} {platform.release()}",
        gpus,
        reason,
        torch_build(),
        counter.source if counter.available else t("not measured: {reason}", reason=counter.reason),
    )


def _name(gpus: tuple[Gpu, ...], cpu: str, cores: int) -> str:
    if len(gpus) > 1:
        return f"{len(gpus)} × {gpus[0].name}"
    return gpus[0].name if gpus else t("{cpu}, {cores} cores", cpu=cpu, cores=cores)


def unusable_gpu(device: Device) -> str | None:
    """A sentence when torch cannot use the machine's NVIDIA GPU, with the command to type."""
    if not device.gpus:
        return None
    if device.torch is None:
        return t(
            "{name} is present but torch is not installed: pip install torch",
            name=device.gpus[0].name,
        )
    if "+cpu" in device.torch:
        version = device.torch.partition("+")[0]
        return t(
            "{name} is present but torch {torch} was built without CUDA, so runs use the "
            "CPU. Install a CUDA build: pip install --force-reinstall torch=={version}",
            name=device.gpus[0].name,
            torch=device.torch,
            version=version,
        )
    return None


@dataclass(frozen=True)
class Peak:
    """The fp32 peak of the processor by its data sheet, and how it was worked out."""

    flops_per_s: float | None
    how: str


_LANES = (
    ("avx512f", 64, marked("two 512-bit FMA units")),
    ("avx2", 32, marked("two 256-bit FMA units")),
    ("asimd", 16, marked("two NEON units")),
)
"""CPU flag → fp32 FLOP per core and cycle, 2 per multiply-add; the widest common design."""


def nominal_peak() -> Peak:
    """Cores × clock × FLOP per cycle.

    An upper bound, as clocks fall under load and some designs have one unit.
    """
    flags = _cpu_flags()
    lanes = next((row for row in _LANES if row[0] in flags), None)
    clock, cores = clock_hz(), psutil.cpu_count(logical=False) or 1
    if lanes is None or clock is None:
        return Peak(None, t("the system does not tell the clock or the vector units"))
    _, per_cycle, units = lanes
    return Peak(
        cores * clock * per_cycle,
        t(
            "{cores} cores × {clock:.2f} GHz × {per_cycle} ({units})",
            cores=cores,
            clock=clock / 1e9,
            per_cycle=per_cycle,
            units=t(units),
        ),
    )


def _cpu_flags() -> set[str]:
    for line in _cpu_lines():
        if line.startswith(("flags", "Features")):
            return set(line.partition(":")[2].split())
    return set()
