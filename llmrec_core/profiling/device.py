"""The machine as found, its load right now, and its energy counter – without torch.

CPU and memory come from psutil, NVIDIA GPUs from NVML through pynvml (the module of `nvidia-ml-py`), energy from
NVML or, on Intel and AMD under Linux, from the RAPL counter when the process may read it. A machine without a GPU
is a normal case: an empty list and a reason. Energy counters refresh every 20–100 ms, so windows last seconds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

RAPL = Path("/sys/class/powercap/intel-rapl:0/energy_uj")
NVML_REASONS = {
    "NVMLError_LibraryNotFound": "the NVIDIA driver library (libnvidia-ml.so.1) is not installed",
    "NVMLError_DriverNotLoaded": "the NVIDIA driver is installed but not loaded",
    "NVMLError_NotSupported": "this GPU does not offer the reading",
    "NVMLError_GpuIsLost": "the GPU has fallen off the bus; restart the machine",
    "NVMLError_NoPermission": "this user may not read the GPU",
    "NVMLError_LibRmVersionMismatch": "driver and library versions differ; restart the machine",
    "NVMLLibraryMismatchError": "driver library and nvidia-ml-py do not fit together; upgrade nvidia-ml-py",
}


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
    """Source of the energy counter, or "not measured: reason"."""

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown CPU"


def reason_of(error: Exception) -> str:
    """Why NVML did not answer, in words."""
    kind = type(error).__name__
    return NVML_REASONS.get(kind, f"NVML answered {kind}: {error}")


class _Nvml:
    """NVML held open for a few calls; `reason` says why it could not be opened."""

    def __init__(self) -> None:
        self.reason: str | None = None
        try:
            import pynvml
        except ImportError:
            self.reason = "the package nvidia-ml-py is not installed"
            return
        self.api = pynvml
        # NVMLLibraryMismatchError is not an NVMLError, so both are named.
        self.errors = (pynvml.NVMLError, pynvml.NVMLLibraryMismatchError)
        try:
            pynvml.nvmlInit()
        except self.errors as error:
            self.reason = reason_of(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.reason is None:
            with contextlib.suppress(*self.errors):
                self.api.nvmlShutdown()

    def read(self, call: Callable[..., Any], *arguments: Any) -> tuple[Any, str | None]:
        """The answer of one NVML call, or `None` and the reason."""
        try:
            return call(*arguments), None
        except self.errors as error:
            return None, reason_of(error)

    def handles(self) -> list[Any]:
        if self.reason is not None:
            return []
        count, self.reason = self.read(self.api.nvmlDeviceGetCount)
        handles = []
        for index in range(count or 0):
            handle, reason = self.read(self.api.nvmlDeviceGetHandleByIndex, index)
            if handle is None:
                self.reason = reason
            else:
                handles.append(handle)
        if not handles and self.reason is None:
            self.reason = "the NVIDIA driver reports no GPU"
        return handles


def _text(value: Any) -> str | None:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _gpus() -> tuple[tuple[Gpu, ...], str | None]:
    with _Nvml() as nvml:
        found = []
        for index, handle in enumerate(nvml.handles()):
            api = nvml.api
            memory, _ = nvml.read(api.nvmlDeviceGetMemoryInfo, handle)
            limit, _ = nvml.read(api.nvmlDeviceGetPowerManagementLimit, handle)
            counter, _ = nvml.read(api.nvmlDeviceGetTotalEnergyConsumption, handle)
            found.append(
                Gpu(
                    index,
                    _text(nvml.read(api.nvmlDeviceGetName, handle)[0]) or "NVIDIA GPU",
                    memory.total if memory else None,
                    _text(nvml.read(api.nvmlSystemGetDriverVersion)[0]),
                    limit / 1000 if limit is not None else None,
                    counter is not None,
                )
            )
        return tuple(found), None if found else nvml.reason


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
    memory = psutil.virtual_memory().total
    name = f"{len(gpus)} × {gpus[0].name}" if len(gpus) > 1 else gpus[0].name if gpus else f"{cpu}, {cores} cores"
    return Device(
        name,
        cpu,
        cores,
        psutil.cpu_count() or cores,
        memory,
        f"{platform.system()} {platform.release()}",
        gpus,
        reason,
        torch_build(),
        counter.source if counter.available else f"not measured: {counter.reason}",
    )


def unusable_gpu(device: Device) -> str | None:
    """A sentence when there is an NVIDIA GPU that the installed torch cannot use, with the command to type."""
    if not device.gpus:
        return None
    if device.torch is None:
        return f"{device.gpus[0].name} is present but torch is not installed: pip install torch"
    if "+cpu" in device.torch:
        version = device.torch.partition("+")[0]
        return (
            f"{device.gpus[0].name} is present but torch {device.torch} was built without CUDA, so runs use the CPU. "
            f"Install a CUDA build: pip install --force-reinstall torch=={version}"
        )
    return None


@dataclass(frozen=True)
class Peak:
    """The fp32 peak of the processor by its data sheet, and how it was worked out."""

    flops_per_s: float | None
    how: str


_LANES = (
    ("avx512f", 64, "two 512-bit FMA units"),
    ("avx2", 32, "two 256-bit FMA units"),
    ("asimd", 16, "two NEON units"),
)
"""CPU flag → fp32 FLOP per core and cycle, 2 per multiply-add; the widest common design, so an upper bound."""


def nominal_peak() -> Peak:
    """Cores × clock × FLOP per cycle; an upper bound, as clocks fall under load and some designs have one unit."""
    flags = _cpu_flags()
    found = next((row for row in _LANES if row[0] in flags), None)
    clock, cores = clock_hz(), psutil.cpu_count(logical=False) or 1
    if found is None or clock is None:
        return Peak(None, "the system does not tell the clock or the vector units")
    _, per_cycle, units = found
    return Peak(cores * clock * per_cycle, f"{cores} cores × {clock / 1e9:.2f} GHz × {per_cycle} ({units})")


def _cpu_flags() -> set[str]:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(("flags", "Features")):
                return set(line.partition(":")[2].split())
    except OSError:
        pass
    return set()


# ── live load ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class GpuLoad:
    """A GPU right now; `None` where NVML does not say."""

    name: str
    utilisation: float | None
    memory_used_bytes: int | None
    memory_bytes: int | None
    power_w: float | None
    temperature_c: float | None
    reason: str | None


@dataclass(frozen=True)
class Load:
    """The machine right now."""

    cpu: float
    """Busy share of all cores since the last call, 0 … 1."""
    memory_used_bytes: int
    memory_bytes: int
    clock_hz: float | None
    temperature_c: float | None
    gpus: tuple[GpuLoad, ...]
    gpu_reason: str | None


def load() -> Load:
    """Load since the last call in this process (the first call compares with the start of the process)."""
    memory = psutil.virtual_memory()
    with _Nvml() as nvml:
        gpus = tuple(_gpu_load(nvml, handle) for handle in nvml.handles())
        reason = None if gpus else nvml.reason
    return Load(
        psutil.cpu_percent(interval=None) / 100,
        memory.total - memory.available,
        memory.total,
        clock_hz(),
        temperature_c(),
        gpus,
        reason,
    )


def _gpu_load(nvml: _Nvml, handle: Any) -> GpuLoad:
    api = nvml.api
    rates, reason = nvml.read(api.nvmlDeviceGetUtilizationRates, handle)
    memory, _ = nvml.read(api.nvmlDeviceGetMemoryInfo, handle)
    power, power_reason = nvml.read(api.nvmlDeviceGetPowerUsage, handle)
    warmth, _ = nvml.read(api.nvmlDeviceGetTemperature, handle, api.NVML_TEMPERATURE_GPU)
    return GpuLoad(
        _text(nvml.read(api.nvmlDeviceGetName, handle)[0]) or "NVIDIA GPU",
        rates.gpu / 100 if rates else None,
        memory.used if memory else None,
        memory.total if memory else None,
        power / 1000 if power is not None else None,
        float(warmth) if warmth is not None else None,
        reason or power_reason,
    )


def clock_hz() -> float | None:
    """Mean clock of the cores, where the system tells it."""
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError):
        return None
    return frequency.current * 1e6 if frequency and frequency.current else None


def temperature_c() -> float | None:
    """Hottest CPU sensor, where the system tells it."""
    sensors: dict[str, Any] = getattr(psutil, "sensors_temperatures", dict)()
    readings = [reading.current for group in sensors.values() for reading in group if reading.current]
    return max(readings) if readings else None


# ── energy ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class EnergyCounter:
    """Joules since an arbitrary start, or the reason why there is no counter."""

    source: str
    reason: str | None = None
    _read: Callable[[], float | None] | None = None

    @property
    def available(self) -> bool:
        return self.reason is None

    def read_j(self) -> float | None:
        """Joules now; `None` without a counter, or when it has stopped answering."""
        return self._read() if self._read else None


def _read_nvml_j() -> float | None:
    with _Nvml() as nvml:
        readings = [nvml.read(nvml.api.nvmlDeviceGetTotalEnergyConsumption, handle)[0] for handle in nvml.handles()]
    return None if not readings or None in readings else sum(readings) / 1000


def _read_rapl_j() -> float | None:
    try:
        return int(RAPL.read_text()) / 1e6
    except (OSError, ValueError):
        return None


def energy_counter() -> EnergyCounter:
    """The energy counter of this machine: NVML, else RAPL, else the reason for neither."""
    if _read_nvml_j() is not None:
        return EnergyCounter("NVML total energy of the GPUs", None, _read_nvml_j)
    with _Nvml() as nvml:
        gpu = "no NVML energy counter" if nvml.handles() else nvml.reason
    if _read_rapl_j() is not None:
        return EnergyCounter("RAPL, CPU package", None, _read_rapl_j)
    rapl = "RAPL is there but not readable by this user" if RAPL.exists() else "no RAPL counter"
    return EnergyCounter("none", f"{gpu}; {rapl}")
