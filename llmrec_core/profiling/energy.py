"""The energy counters of this machine, each once: GPUs, processor packages, memory.

NVML counts the energy of a whole GPU (nvmlDeviceGetTotalEnergyConsumption), also where it is cut
into MIG parts. RAPL counts each processor package and, where the platform does, the memory beside
it (Linux, Documentation/power/powercap). Cores and graphics are inside the package and the
platform domain `psys` holds everything, so neither is added. A RAPL counter starts anew after its
range, so a reading is a sum of steps, each modulo the range. Counters refresh every 1 to 100 ms, so
windows last seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from llmrec_core.language import t
from llmrec_core.profiling.nvml import Nvml, Part

POWERCAP = Path("/sys/class/powercap")
PACKAGE_ZONE = re.compile(r"intel-rapl:(\d+)")
"""Top zones; `intel-rapl-mmio` shows the same packages through another interface."""
SUBZONE = re.compile(r"intel-rapl:(\d+):\d+")
MICRO, MILLI = 1e-6, 1e-3


@dataclass
class Meter:
    """One counter: what it is inside of, and how far it has come."""

    name: str
    """What it counts, as a person reads it."""
    path: Path | None = None
    """The file of a RAPL counter, in microjoules."""
    gpu: int | None = None
    """The number of a GPU, whose counter NVML reads."""
    range_uj: int = 0
    """After so many microjoules a RAPL counter starts anew."""
    last: int | None = None
    joules: float = 0.0

    def advance(self, raw: int | None) -> bool:
        """Add what was spent since the last reading.

        Args:
            raw: the counter now, in microjoules (RAPL) or millijoules (NVML).

        Returns:
            False when the counter does not answer, or went back without a range to start anew.
        """
        if raw is None:
            return False
        step = 0 if self.last is None else raw - self.last
        if step < 0:
            step += self.range_uj
        if step < 0:
            return False
        self.joules += step * (MICRO if self.path is not None else MILLI)
        self.last = raw
        return True


@dataclass
class EnergyCounter:
    """Joules since the first reading, or the reason why there is no counter."""

    source: str
    """What is inside of the figure, or `none`."""
    reason: str | None = None
    meters: list[Meter] = field(default_factory=list)

    @property
    def available(self) -> bool:
        """Whether anything is counted."""
        return self.reason is None

    def read_j(self) -> float | None:
        """Joules since the first reading of this counter.

        `None` without a counter, when one of them has stopped answering, or when one of a GPU went
        back, as after a reset.
        """
        if not self.meters:
            return None
        answered = [meter.advance(_whole(meter.path)) for meter in self.meters if meter.path]
        of_gpus = [meter for meter in self.meters if meter.gpu is not None]
        if not all(answered) or (of_gpus and not _advance_gpus(of_gpus)):
            return None
        return sum(meter.joules for meter in self.meters)


def _advance_gpus(meters: list[Meter]) -> bool:
    with Nvml() as nvml:
        handles = dict(enumerate(nvml.handles()))
        return all(
            meter.gpu in handles and meter.advance(_gpu_mj(nvml, handles[meter.gpu]))
            for meter in meters
        )


def _gpu_mj(nvml: Nvml, handle: object) -> int | None:
    raw, _ = nvml.read(nvml.api.nvmlDeviceGetTotalEnergyConsumption, handle)
    return None if raw is None else int(raw)


def _whole(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def energy_counter() -> EnergyCounter:
    """Every energy counter that this process may read, or the reason for none."""
    gpus, without, gpu_reason = _gpu_meters()
    zones, rapl_reason = _rapl_meters()
    meters = [*gpus, *zones]
    if not meters:
        reason = t("{gpu}; {processor}", gpu=gpu_reason, processor=rapl_reason)
        return EnergyCounter("none", reason)
    source = ", ".join(meter.name for meter in meters)
    missing = [*without, *([] if zones else [rapl_reason])]
    if missing:
        source = t("{source}; not inside: {missing}", source=source, missing=", ".join(missing))
    return EnergyCounter(source, None, meters)


def _gpu_meters() -> tuple[list[Meter], list[str], str]:
    """Meters of the visible GPUs, those without a counter, and why there is none."""
    meters: list[Meter] = []
    without: list[str] = []
    with Nvml() as nvml:
        for part in nvml.visible():
            if _gpu_mj(nvml, part.handle) is None:
                without.append(t("GPU {index} has no counter", index=part.index))
            else:
                meters.append(Meter(_gpu_name(part), gpu=part.index))
        reason = nvml.reason or t("no NVML energy counter")
    return meters, without, reason


def _gpu_name(part: Part) -> str:
    if part.divided:
        return t(
            "GPU {index} {name} as a whole, all its MIG parts", index=part.index, name=part.name
        )
    return t("GPU {index} {name}", index=part.index, name=part.name)


def _rapl_meters() -> tuple[list[Meter], str]:
    """Meters of every processor package and of the memory beside it, or why there is none."""
    zones = sorted(_entries())
    counted = [zone for zone in zones if zone.kind]
    meters: dict[str, Meter] = {}
    for zone in counted:
        if _whole(zone.path / "energy_uj") is not None:
            # a name that stands twice is one package seen through two zones
            meters.setdefault(
                zone.title,
                Meter(
                    zone.title,
                    path=zone.path / "energy_uj",
                    range_uj=_whole(zone.path / "max_energy_range_uj") or 0,
                ),
            )
    if meters:
        return list(meters.values()), ""
    if counted:
        return [], t("RAPL is there but not readable by this user")
    return [], t("no RAPL counter")


@dataclass(frozen=True, order=True)
class _Zone:
    """A folder of the powercap interface."""

    package: int
    subzone: bool
    path: Path
    label: str

    @property
    def kind(self) -> str:
        """`package`, `memory`, or empty for what is not added."""
        if not self.subzone and self.label.startswith("package"):
            return "package"
        return "memory" if self.subzone and self.label == "dram" else ""

    @property
    def title(self) -> str:
        """What the zone counts, as a person reads it."""
        number = self.label.removeprefix("package-") if self.kind == "package" else self.package
        if self.kind == "package":
            return t("processor package {number} (RAPL)", number=number)
        return t("memory of package {number} (RAPL)", number=number)


def _entries() -> list[_Zone]:
    """The zones of the powercap interface; none where the system has none."""
    zones = []
    try:
        names = sorted(path.name for path in POWERCAP.iterdir())
    except OSError:
        return []
    for name in names:
        match = PACKAGE_ZONE.fullmatch(name) or SUBZONE.fullmatch(name)
        if match is None:
            continue
        path = POWERCAP / name
        try:
            label = (path / "name").read_text().strip()
        except OSError:
            continue
        zones.append(_Zone(int(match.group(1)), SUBZONE.fullmatch(name) is not None, path, label))
    return zones
