"""What a run will need, estimated before it starts: memory, GPU memory, disk, hours.

A run that cannot fit is refused with the nearest setting that does, instead of failing after
minutes. The estimates are sums of named terms and leave out what is small; docs say how far they
are from measured peaks. No torch: the command line and the pages ask too.

Activations: 17 values a token and layer at the layer's width are kept for the backward pass
(Korthikanti et al. 2022, arXiv:2205.05198, equation 2 without dropout masks and score matrices),
beside the scores of every candidate token against what it attends to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmrec_core.contract.spec import RunSpec, TrainingSpec
from llmrec_core.costmodel.facts import model_catalogue
from llmrec_core.costmodel.facts.architecture import Architecture
from llmrec_core.costmodel.predict.weights import parameters
from llmrec_core.errors import LlmrecError, UnsupportedError
from llmrec_core.language import t
from llmrec_core.profiling.device import describe, unusable_gpu
from llmrec_core.running import limits
from llmrec_core.running.halving import halved
from llmrec_core.settings import Settings

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset

FLOAT = 4
"""Bytes of a trained value; weights are fp32."""
STARTED_BYTES, STARTED_NEURAL_BYTES = 250e6, 700e6
"""What a run holds before its model: Python and NumPy, with torch and transformers besides."""
ROW_BYTES = 150.0
"""An interaction in the tables and their splits."""
ITEM_TOKENS, TITLE_TOKENS = 14.0, 8.0
"""Tokens of a candidate (title and genres) and of a title in a history, as in ml-100k."""
ACTIVATIONS = 17
"""Values a token and layer kept for the backward pass; see the module."""
FRAGMENTS = 1.3
"""What the allocator holds beyond what is in use, measured on cross-encoders."""
KEPT_CHECKPOINTS = 3
"""Two are kept while the next is written."""
FASTEST_CORE_FLOPS, FASTEST_GPU_FLOPS = 1.5e11, 1e15
"""Rates that no core and no GPU of today passes, for hours that are a lower bound."""


@dataclass(frozen=True)
class Catalogue:
    """The size of a data set."""

    users: int
    items: int
    interactions: int


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
    model = _Model.of(spec, catalogue)
    neural = STARTED_NEURAL_BYTES if model.neural else STARTED_BYTES
    host = neural + catalogue.interactions * ROW_BYTES + _evaluation_bytes(spec, catalogue)
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
    for count in _halves(_candidates(spec, catalogue), at_least=100):
        protocol = dataclasses.replace(
            spec.protocol, candidates=f"{count}-uniform", also_full=False
        )
        yield (
            dataclasses.replace(spec, protocol=protocol),
            f'protocol.candidates = "{count}-uniform"',
        )
    backbone = _backbone(spec)
    for layers in _halves(spec.recommender.depth or (backbone.layers if backbone else 0)):
        recommender = dataclasses.replace(spec.recommender, depth=layers)
        yield dataclasses.replace(spec, recommender=recommender), f"recommender.depth = {layers}"


def _with_training(spec: RunSpec, training: TrainingSpec) -> RunSpec:
    return dataclasses.replace(spec, training=training)


def _halves(value: int, at_least: int = 1) -> Iterator[int]:
    while value // 2 >= at_least:
        value //= 2
        yield value


def _candidates(spec: RunSpec, catalogue: Catalogue) -> int:
    """Candidates of one request under the spec's protocol."""
    count = spec.protocol.candidates.partition("-")[0]
    return int(count) if count.isdecimal() else catalogue.items


def _evaluated(spec: RunSpec, catalogue: Catalogue) -> int:
    return min(spec.protocol.users or catalogue.users, catalogue.users)


def _evaluation_bytes(spec: RunSpec, catalogue: Catalogue) -> float:
    """The candidates of all users as codes (8 bytes) with their scores (4 bytes)."""
    return 12.0 * _evaluated(spec, catalogue) * _candidates(spec, catalogue)


def _backbone(spec: RunSpec) -> Architecture | None:
    """The backbone's dimensions, from the catalogue or its folder; `None` where unknown."""
    name = spec.recommender.backbone
    if not name:
        return None
    try:
        folder = Path(name).expanduser()
        if folder.is_dir():
            return model_catalogue.load(str(folder))
        return model_catalogue.find(name)
    except LlmrecError:  # the run itself says what is wrong with it
        return None


@dataclass(frozen=True)
class _Model:
    """What the model of a run takes."""

    neural: bool = False
    weight_bytes: float = 0.0
    loading_bytes: float = 0.0
    training_bytes: float = 0.0
    disk_bytes: float = 0.0
    training_flops: float = 0.0
    evaluation_flops: float = 0.0

    @classmethod
    def of(cls, spec: RunSpec, catalogue: Catalogue) -> _Model:
        return _KINDS.get(spec.recommender.family, _counting)(spec, catalogue)


def _counting(spec: RunSpec, catalogue: Catalogue) -> _Model:
    """Families that count: pairs of items within ten places, or the words of titles."""
    pairs = min(20.0 * catalogue.interactions, float(catalogue.items) ** 2)
    return _Model(weight_bytes=36.0 * pairs, disk_bytes=12.0 * pairs)


def _dense(spec: RunSpec, catalogue: Catalogue) -> _Model:
    """EASE: the dense Gram matrix beside its sparse form, then the inverse in its place."""
    square = float(catalogue.items) ** 2
    return _Model(weight_bytes=16.0 * square, disk_bytes=4.0 * square)


def _factors(spec: RunSpec, catalogue: Catalogue) -> _Model:
    width = float(spec.recommender.options.get("factors", 64))
    values = (catalogue.users + catalogue.items) * width
    return _Model(weight_bytes=3 * FLOAT * values, disk_bytes=FLOAT * values)


def _sequential(spec: RunSpec, catalogue: Catalogue) -> _Model:
    """SASRec with the full softmax: every place of a window scores the whole catalogue."""
    options, training = spec.recommender.options, spec.training
    width, layers = float(options.get("width", 64)), float(options.get("layers", 2))
    body = 12 * layers * width * width
    values = catalogue.items * width + body
    mean = catalogue.interactions / max(catalogue.users, 1)
    places = training.batch_histories * min(spec.recommender.history_items, max(mean, 1.0))
    logits = 3 * FLOAT * places * catalogue.items
    activations = ACTIVATIONS * FLOAT * places * width * layers
    steps = training.steps * training.accumulate
    flops = 6 * places * (body + catalogue.items * width) * steps
    if spec.recommender.adaptation == "none" or spec.weights_from:
        logits = activations = flops = 0.0
    return _Model(
        neural=True,
        weight_bytes=FLOAT * values,
        training_bytes=FRAGMENTS * (logits + activations) + 4 * FLOAT * values,
        disk_bytes=(1 + 4 * KEPT_CHECKPOINTS) * FLOAT * values,
        training_flops=flops,
    )


def _language_model(spec: RunSpec, catalogue: Catalogue) -> _Model:
    """A backbone that reads a history and its candidates together."""
    backbone = _backbone(spec)
    if backbone is None:
        return _Model(neural=True)
    chosen, training = spec.recommender, spec.training
    counted = parameters(backbone)
    layers = min(chosen.depth or backbone.layers, backbone.layers)
    body = counted.body * layers / backbone.layers
    values = counted.embedding + body
    trained = _trained(spec, backbone, layers, values)
    context = backbone.context or backbone.positions or float("inf")
    history = min(TITLE_TOKENS * chosen.history_items, context)
    slate = training.positives + training.negatives
    tokens = training.batch_histories * (history + ITEM_TOKENS * slate)
    scores = (2.0 * FLOAT * backbone.heads * training.batch_histories * ITEM_TOKENS * slate) * (
        history + ITEM_TOKENS
    )
    kept = 1 if chosen.adaptation == "head" or training.activation_checkpointing else layers
    activations = (ACTIVATIONS * FLOAT * tokens * backbone.width + scores) * kept
    steps = training.steps * training.accumulate
    requests = _evaluated(spec, catalogue)
    offered = min(_candidates(spec, catalogue), chosen.rerank_k or catalogue.items)
    return _Model(
        neural=True,
        weight_bytes=FLOAT * values,
        loading_bytes=FLOAT * (counted.total - values) + FLOAT * counted.total,
        training_bytes=FRAGMENTS * activations * bool(trained) + 4 * FLOAT * trained,
        disk_bytes=FLOAT * values + 4 * FLOAT * trained * KEPT_CHECKPOINTS,
        training_flops=6.0 * body * tokens * steps * bool(trained),
        evaluation_flops=2.0 * body * requests * (history + ITEM_TOKENS * offered),
    )


def _trained(spec: RunSpec, backbone: Architecture, layers: int, values: float) -> float:
    """Weights that are trained."""
    if spec.weights_from:
        return 0.0
    return {
        "none": 0.0,
        "head": 4.0 * backbone.width * backbone.width,
        "lora": 2.0 * spec.recommender.lora_rank * backbone.width * 7 * layers,
        "full": values,
    }[spec.recommender.adaptation]


def _bi_encoder(spec: RunSpec, catalogue: Catalogue) -> _Model:
    """A backbone that reads every item once; the catalogue's vectors stay."""
    backbone = _backbone(spec)
    if backbone is None:
        return _Model(neural=True)
    counted = parameters(backbone)
    vectors = FLOAT * float(catalogue.items) * backbone.width
    return _Model(
        neural=True,
        weight_bytes=FLOAT * counted.total + 2 * vectors,
        loading_bytes=FLOAT * counted.total,
        disk_bytes=2 * vectors,
        evaluation_flops=2.0 * counted.body * ITEM_TOKENS * catalogue.items,
    )


def _parallel_codes(spec: RunSpec, catalogue: Catalogue) -> _Model:
    """A backbone that reads every item once; then every place of a window asks for every code."""
    read = _bi_encoder(spec, catalogue)
    options, training = spec.recommender.options, spec.training
    width, layers = float(options.get("width", 64)), float(options.get("layers", 2))
    codes, codebook = float(options.get("codes", 16)), float(options.get("codebook", 256))
    body = 12 * layers * width * width + (codes + 1) * width * width
    vectors = codes * codebook * width
    mean = catalogue.interactions / max(catalogue.users, 1)
    places = training.batch_histories * min(spec.recommender.history_items, max(mean, 1.0))
    logits = 4 * FLOAT * places * codes * codebook
    activations = ACTIVATIONS * FLOAT * places * width * layers
    activations += 4 * FLOAT * places * (codes + 1) * width
    steps = training.steps * training.accumulate
    return replace(
        read,
        training_bytes=FRAGMENTS * (logits + activations) + 5 * FLOAT * (body + vectors),
        disk_bytes=(1 + 4 * KEPT_CHECKPOINTS) * FLOAT * (body + vectors),
        training_flops=6 * places * (body + vectors) * steps,
    )


def _two_towers(spec: RunSpec, catalogue: Catalogue) -> _Model:
    """As the bi-encoder, and a training that reads every item of its batches once.

    Each validation, the end of training and the untrained self encode the catalogue.
    """
    still = _bi_encoder(spec, catalogue)
    backbone = _backbone(spec)
    if backbone is None:
        return still
    chosen, training = spec.recommender, spec.training
    options, counted = chosen.options, parameters(backbone)
    layers = min(chosen.depth or backbone.layers, backbone.layers)
    body = counted.body * layers / backbone.layers
    people = training.batch_histories
    read = people * (options.get("window", 10) + 1 + options.get("mined", 0))
    pool = min(read + options.get("uniform", 0), float(catalogue.items))
    logits = 4 * FLOAT * people * options.get("window", 10) * pool
    maps = 2.0 * backbone.width**2
    if chosen.adaptation == "head":
        return replace(
            still,
            training_bytes=FRAGMENTS * logits + 4 * FLOAT * maps,
            disk_bytes=2 * still.disk_bytes + 4 * FLOAT * maps * KEPT_CHECKPOINTS,
        )
    trained = _trained(spec, backbone, layers, counted.embedding + body) + maps
    tokens = pool * ITEM_TOKENS
    steps = training.steps * training.accumulate
    encoded = 2 + training.steps // training.validate_every
    return replace(
        still,
        training_bytes=FRAGMENTS * (ACTIVATIONS * FLOAT * tokens * backbone.width * layers + logits)
        + 4 * FLOAT * trained,
        disk_bytes=2 * still.disk_bytes + 4 * FLOAT * trained * KEPT_CHECKPOINTS,
        training_flops=6.0 * body * tokens * steps,
        evaluation_flops=encoded * still.evaluation_flops,
    )


_KINDS: dict[str, Callable[[RunSpec, Catalogue], _Model]] = {
    "ease": _dense,
    "als": _factors,
    "bpr": _factors,
    "sasrec": _sequential,
    "text-sasrec": _sequential,
    "parallel-codes": _parallel_codes,
    "bi-encoder": _bi_encoder,
    "two-towers": _two_towers,
    "cross-encoder": _language_model,
    "decoder": _language_model,
    "cascade": _language_model,
}
