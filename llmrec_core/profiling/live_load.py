"""The machine's load right now, without torch: processor, memory, clock, temperature, GPUs."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from llmrec_core.language import t
from llmrec_core.profiling.nvml import Nvml, as_text


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
    """Busy share of all cores, see `busy_share`."""
    memory_used_bytes: int
    memory_bytes: int
    clock_hz: float | None
    temperature_c: float | None
    gpus: tuple[GpuLoad, ...]
    gpu_reason: str | None


class _Processor:
    """The busy share of a stretch of a second or more, for all who ask in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_at, self._share = -math.inf, 0.0  # the first reading is since the start

    def share(self) -> float:
        """Return the share, read anew when a second has passed."""
        with self._lock:
            if time.monotonic() - self._read_at >= SHORTEST_S:
                self._read_at, self._share = time.monotonic(), psutil.cpu_percent(None) / 100
            return self._share


SHORTEST_S = 1.0
"""A shorter stretch says nothing: two pages that ask at once would read 0 or 100 %."""
_processor = _Processor()


def busy_share() -> float:
    """Busy share of all cores over the last second or more, 0 … 1, whoever asks."""
    return _processor.share()


def load() -> Load:
    """The machine right now."""
    memory = psutil.virtual_memory()
    with Nvml() as nvml:
        gpus = tuple(_gpu_load(nvml, handle) for handle in nvml.handles())
        reason = None if gpus else nvml.reason
    return Load(
        busy_share(),
        memory.total - memory.available,
        memory.total,
        clock_hz(),
        temperature_c(),
        gpus,
        reason,
    )


def _gpu_load(nvml: Nvml, handle: object) -> GpuLoad:
    api = nvml.api
    rates, reason = nvml.read(api.nvmlDeviceGetUtilizationRates, handle)
    memory, _ = nvml.read(api.nvmlDeviceGetMemoryInfo, handle)
    power_mw, power_reason = nvml.read(api.nvmlDeviceGetPowerUsage, handle)
    warmth, _ = nvml.read(api.nvmlDeviceGetTemperature, handle, api.NVML_TEMPERATURE_GPU)
    return GpuLoad(
        as_text(nvml.read(api.nvmlDeviceGetName, handle)[0]) or t("NVIDIA GPU"),
        rates.gpu / 100 if rates else None,
        memory.used if memory else None,
        memory.total if memory else None,
        power_mw / 1000 if power_mw is not None else None,
        float(warmth) if warmth is not None else None,
        reason or power_reason,
    )


def clock_hz() -> float | None:
    """Mean clock of the cores; None where the system does not say."""
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError):
        return None
    return frequency.current * 1e6 if frequency and frequency.current else None


def temperature_c() -> float | None:
    """The hottest sensor of the processor; None where the system does not say."""
    readings = [
        reading.current for group in _sensors().values() for reading in group if reading.current
    ]
    return max(readings) if readings else None


def _sensors() -> Mapping[str, Any]:
    """Temperature sensors by chip; psutil has none on some systems."""
    if not (psutil.LINUX or psutil.FREEBSD):
        return {}
    try:
        sensors: Mapping[str, Any] = psutil.sensors_temperatures()
    except OSError:
        return {}
    return sensors
