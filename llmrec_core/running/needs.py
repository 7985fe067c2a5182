"""What a run will need, estimated before it starts: memory, GPU memory, disk, hours.

A run that cannot fit is refused with the nearest setting that does, instead of failing after
minutes. The estimates are sums of named terms and leave out what is small; docs say how far they
are from measured peaks. No torch: the command line and the pages ask too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmrec_core.contract.spec import RunSpec, TrainingSpec
from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.profiling.device import describe, unusable_gpu
from llmrec_core.running import limits
from llmrec_core.running.halving import halved
from llmrec_core.running.model_needs import (
    Catalogue,
    ModelNeeds,
    backbone_of,
    candidates_of,
    evaluation_bytes,
)
from llmrec_core.settings import Settings

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset

STARTED_BYTES, STARTED_NEURAL_BYTES = 250e6, 700e6
"""What a run holds before its model: Python and NumPy, with torch and transformers besides."""
ROW_BYTES = 150.0
"""An interaction in the tables and their splits."""
FASTEST_CORE_FLOPS, FASTEST_GPU_FLOPS = 1.5e11, 1e15
"""Rates that no core and no GPU of today passes, for hours that are a lower bound."""


@dataclass(frozen=True)
class Machine:
    """What a run may use here."""

    memory_bytes: float
    gpu_bytes: float | None
    """Memory of the first usable GPU; `None` without one."""
    disk_bytes: float
    cores: int
    hours: float


@dataclass(frozen=True)
class Needs:
    """Estimates for one run."""

    memory_bytes: float
    gpu_bytes: float
    """0 for a run on the CPU."""
    disk_bytes: float
    hours: float
    """At least; training counts no more than `training.max_minutes`."""


def catalogue_of(dataset: Dataset) -> Catalogue:
    """Return the size of a data set."""
    return Catalogue(dataset.n_users, dataset.n_items, len(dataset.interactions))


def machine_of(settings: Settings) -> Machine:
    """Return what a run may use on this machine."""
    device = describe()
    usable = bool(device.gpus) and unusable_gpu(device) is None
    return Machine(
        limits.memory_limit_bytes(settings),
        float(device.gpus[0].memory_bytes or 0) or None if usable else None,
        limits.free_disk_bytes(settings.home),
        device.cores,
        settings.run_hours,
    )


def needs_of(spec: RunSpec, catalogue: Catalogue, machine: Machine) -> Needs:
    """Estimate what a run needs on a machine."""
    on_gpu = machine.gpu_bytes is not None and spec.device != "cpu"
    model = ModelNeeds.of(spec, catalogue)
    neural = STARTED_NEURAL_BYTES if model.neural else STARTED_BYTES
    host = neural + catalogue.interactions * ROW_BYTES + evaluation_bytes(spec, catalogue)
    device = model.weight_bytes + model.training_bytes
    host += model.loading_bytes + (0.0 if on_gpu else device)
    rate = FASTEST_GPU_FLOPS if on_gpu else FASTEST_CORE_FLOPS * machine.cores
    training_hours = min(model.training_flops / rate / 3600, spec.training.max_minutes / 60)
    return Needs(
        host,
        device if on_gpu else 0.0,
        model.disk_bytes,
        training_hours + model.evaluation_flops / rate / 3600,
    )


def require_fit(spec: RunSpec, catalogue: Catalogue, machine: Machine) -> None:
    """Refuse a run that cannot fit.

    Raises:
        UnsupportedError: with what it needs, what there is, and the nearest setting that fits.
    """
    shortage = _shortage(spec, catalogue, machine)
    if shortage is None:
        return
    nearest = next(
        (
            sentence
            for smaller, sentence in _smaller(spec, catalogue)
            if _shortage(smaller, catalogue, machine) is None
        ),
        t("no single smaller setting fits; choose a smaller model, or a machine with more"),
    )
    raise UnsupportedError(
        t(
            "run {name!r} would need {shortage}. Nearest setting that fits: {nearest}",
            name=spec.name,
            shortage=shortage,
            nearest=nearest,
        )
    )


def _shortage(spec: RunSpec, catalogue: Catalogue, machine: Machine) -> str | None:
    """The sentence about what there is too little of, `None` when all fits."""
    needs = needs_of(spec, catalogue, machine)
    if needs.memory_bytes > machine.memory_bytes:
        return t(
            "about {need:.1f} GB of memory, a run may use {have:.1f} GB here (LLMREC_MEMORY_GB)",
            need=needs.memory_bytes / 1e9,
            have=machine.memory_bytes / 1e9,
        )
    if needs.gpu_bytes > (machine.gpu_bytes or 0.0):
        return t(
            "about {need:.1f} GB of GPU memory, the GPU has {have:.1f} GB",
            need=needs.gpu_bytes / 1e9,
            have=(machine.gpu_bytes or 0.0) / 1e9,
        )
    if needs.disk_bytes > machine.disk_bytes:
        return t(
            "about {need:.1f} GB of disk, {have:.1f} GB are free",
            need=needs.disk_bytes / 1e9,
            have=machine.disk_bytes / 1e9,
        )
    if needs.hours > machine.hours:
        return t(
            "at least {need:.0f} hours, a run may take {have:.0f} (LLMREC_RUN_HOURS)",
            need=needs.hours,
            have=machine.hours,
        )
    return None


def _smaller(spec: RunSpec, catalogue: Catalogue) -> Iterator[tuple[RunSpec, str]]:
    """The spec with one setting lowered, again and again, each with its sentence.

    The batch comes first: with `accumulate` raised the result stays what was asked for.
    """
    training = spec.training
    while training.batch_histories > 1:
        training = halved(training)
        sentence = t(
            "training.batch_histories = {batch} with training.accumulate = {accumulate}",
            batch=training.batch_histories,
            accumulate=training.accumulate,
        )
        yield _with_training(spec, training), sentence
    for negatives in _halves(spec.training.negatives):
        smaller = dataclasses.replace(spec.training, negatives=negatives)
        yield _with_training(spec, smaller), f"training.negatives = {negatives}"
    for length in _halves(spec.recommender.history_items):
        recommender = dataclasses.replace(spec.recommender, history_items=length)
        yield (
            dataclasses.replace(spec, recommender=recommender),
            f"recommender.history_items = {length}",
        )
    for users in _halves(spec.protocol.users or catalogue.users):
        protocol = dataclasses.replace(spec.protocol, users=users)
        yield dataclasses.replace(spec, protocol=protocol), f"protocol.users = {users}"
    for count in _halves(candidates_of(spec, catalogue), at_least=100):
        protocol = dataclasses.replace(
            spec.protocol, candidates=f"{count}-uniform", also_full=False
        )
        yield (
            dataclasses.replace(spec, protocol=protocol),
            f'protocol.candidates = "{count}-uniform"',
        )
    backbone = backbone_of(spec)
    for layers in _halves(spec.recommender.depth or (backbone.layers if backbone else 0)):
        recommender = dataclasses.replace(spec.recommender, depth=layers)
        yield dataclasses.replace(spec, recommender=recommender), f"recommender.depth = {layers}"


def _with_training(spec: RunSpec, training: TrainingSpec) -> RunSpec:
    return dataclasses.replace(spec, training=training)


def _halves(value: int, at_least: int = 1) -> Iterator[int]:
    while value // 2 >= at_least:
        value //= 2
        yield value
