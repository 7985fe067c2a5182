"""What the model of a run takes, family by family: bytes and operations, from the spec's numbers.

Activations: 17 values a token and layer at the layer's width are kept for the backward pass
(Korthikanti et al. 2022, arXiv:2205.05198, equation 2 without dropout masks and score matrices),
beside the scores of every candidate token against what it attends to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from llmrec_core.contract.spec import RunSpec
from llmrec_core.costmodel.facts import model_catalogue
from llmrec_core.costmodel.facts.architecture import Architecture
from llmrec_core.costmodel.predict.weights import parameters
from llmrec_core.errors import LlmrecError

FLOAT = 4
"""Bytes of a trained value; weights are fp32."""
ITEM_TOKENS, TITLE_TOKENS = 14.0, 8.0
"""Tokens of a candidate (title and genres) and of a title in a history, as in ml-100k."""
ACTIVATIONS = 17
"""Values a token and layer kept for the backward pass; see the module."""
FRAGMENTS = 1.3
"""What the allocator holds beyond what is in use, measured on cross-encoders."""
KEPT_CHECKPOINTS = 3
"""Two are kept while the next is written."""


@dataclass(frozen=True)
class Catalogue:
    """The size of a data set."""

    users: int
    items: int
    interactions: int


def candidates_of(spec: RunSpec, catalogue: Catalogue) -> int:
    """Candidates of one request under the spec's protocol."""
    count = spec.protocol.candidates.partition("-")[0]
    return int(count) if count.isdecimal() else catalogue.items


def _evaluated(spec: RunSpec, catalogue: Catalogue) -> int:
    return min(spec.protocol.users or catalogue.users, catalogue.users)


def evaluation_bytes(spec: RunSpec, catalogue: Catalogue) -> float:
    """The candidates of all users as codes (8 bytes) with their scores (4 bytes)."""
    return 12.0 * _evaluated(spec, catalogue) * candidates_of(spec, catalogue)


def backbone_of(spec: RunSpec) -> Architecture | None:
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
class ModelNeeds:
    """What the model of a run takes."""

    neural: bool = False
    weight_bytes: float = 0.0
    loading_bytes: float = 0.0
    training_bytes: float = 0.0
    disk_bytes: float = 0.0
    training_flops: float = 0.0
    evaluation_flops: float = 0.0

    @classmethod
    def of(cls, spec: RunSpec, catalogue: Catalogue) -> ModelNeeds:
        """What the spec's family takes on a catalogue."""
        return _KINDS.get(spec.recommender.family, _counting)(spec, catalogue)


def _counting(spec: RunSpec, catalogue: Catalogue) -> ModelNeeds:
    """Families that count: pairs of items within ten places, or the words of titles."""
    pairs = min(20.0 * catalogue.interactions, float(catalogue.items) ** 2)
    return ModelNeeds(weight_bytes=36.0 * pairs, disk_bytes=12.0 * pairs)


def _dense(spec: RunSpec, catalogue: Catalogue) -> ModelNeeds:
    """EASE: the dense Gram matrix beside its sparse form, then the inverse in its place."""
    square = float(catalogue.items) ** 2
    return ModelNeeds(weight_bytes=16.0 * square, disk_bytes=4.0 * square)


def _factors(spec: RunSpec, catalogue: Catalogue) -> ModelNeeds:
    width = float(spec.recommender.options.get("factors", 64))
    values = (catalogue.users + catalogue.items) * width
    return ModelNeeds(weight_bytes=3 * FLOAT * values, disk_bytes=FLOAT * values)


def _sequential(spec: RunSpec, catalogue: Catalogue) -> ModelNeeds:
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
    if spec.recommender.adaptation == "none" or spec.borrows_weights:
        logits = activations = flops = 0.0
    return ModelNeeds(
        neural=True,
        weight_bytes=FLOAT * values,
        training_bytes=FRAGMENTS * (logits + activations) + 4 * FLOAT * values,
        disk_bytes=(1 + 4 * KEPT_CHECKPOINTS) * FLOAT * values,
        training_flops=flops,
    )


def _language_model(spec: RunSpec, catalogue: Catalogue) -> ModelNeeds:
    """A backbone that reads a history and its candidates together."""
    backbone = backbone_of(spec)
    if backbone is None:
        return ModelNeeds(neural=True)
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
    beside = slate if chosen.head == "letters" else 1  # candidates that a candidate's tokens see
    scores = (2.0 * FLOAT * backbone.heads * training.batch_histories * ITEM_TOKENS * slate) * (
        history + ITEM_TOKENS * beside
    )
    kept = 1 if chosen.adaptation == "head" or training.activation_checkpointing else layers
    activations = (ACTIVATIONS * FLOAT * tokens * backbone.width + scores) * kept
    steps = training.steps * training.accumulate
    requests = _evaluated(spec, catalogue)
    offered = min(candidates_of(spec, catalogue), chosen.rerank_k or catalogue.items)
    return ModelNeeds(
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
    if spec.borrows_weights:
        return 0.0
    return {
        "none": 0.0,
        "head": 4.0 * backbone.width * backbone.width,
        "lora": 2.0 * spec.recommender.lora_rank * backbone.width * 7 * layers,
        "full": values,
    }[spec.recommender.adaptation]


def _bi_encoder(spec: RunSpec, catalogue: Catalogue) -> ModelNeeds:
    """A backbone that reads every item once; the catalogue's vectors stay."""
    backbone = backbone_of(spec)
    if backbone is None:
        return ModelNeeds(neural=True)
    counted = parameters(backbone)
    vectors = FLOAT * float(catalogue.items) * backbone.width
    return ModelNeeds(
        neural=True,
        weight_bytes=FLOAT * counted.total + 2 * vectors,
        loading_bytes=FLOAT * counted.total,
        disk_bytes=2 * vectors,
        evaluation_flops=2.0 * counted.body * ITEM_TOKENS * catalogue.items,
    )


def _parallel_codes(spec: RunSpec, catalogue: Catalogue) -> ModelNeeds:
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


def _tiger(spec: RunSpec, catalogue: Catalogue) -> ModelNeeds:
    """A backbone that reads every item once; then every code of a window asks for the next."""
    read = _bi_encoder(spec, catalogue)
    options, training = spec.recommender.options, spec.training
    width, layers = float(options.get("width", 64)), float(options.get("layers", 2))
    levels, codebook = float(options.get("levels", 3)), float(options.get("codebook", 256))
    body = 12 * layers * width * width
    vectors = (levels * codebook + spec.recommender.history_items) * width
    mean = catalogue.interactions / max(catalogue.users, 1)
    items = min(spec.recommender.history_items, max(mean, 1.0)) + 1
    places = training.batch_histories * items * (levels + 1)
    scores = 2 * layers * float(options.get("heads", 2)) * places * items * (levels + 1)
    activations = ACTIVATIONS * places * width * layers + scores + 4 * places * codebook
    steps = training.steps * training.accumulate
    beams = levels * min(float(options.get("beam", 50)), candidates_of(spec, catalogue))
    codes_read = items * (levels + 1) + beams
    return replace(
        read,
        training_bytes=FRAGMENTS * FLOAT * activations + 5 * FLOAT * (body + vectors),
        disk_bytes=(1 + 4 * KEPT_CHECKPOINTS) * FLOAT * (body + vectors),
        training_flops=6 * places * (body + codebook * width) * steps,
        evaluation_flops=read.evaluation_flops
        + 2 * _evaluated(spec, catalogue) * codes_read * (body + codebook * width),
    )


def _two_towers(spec: RunSpec, catalogue: Catalogue) -> ModelNeeds:
    """As the bi-encoder, and a training that reads every item of its batches once.

    Each validation, the end of training and the untrained self encode the catalogue.
    """
    still = _bi_encoder(spec, catalogue)
    backbone = backbone_of(spec)
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


_KINDS: dict[str, Callable[[RunSpec, Catalogue], ModelNeeds]] = {
    "ease": _dense,
    "als": _factors,
    "bpr": _factors,
    "sasrec": _sequential,
    "text-sasrec": _sequential,
    "distilled-sasrec": _sequential,
    "parallel-codes": _parallel_codes,
    "tiger": _tiger,
    "bi-encoder": _bi_encoder,
    "two-towers": _two_towers,
    "cross-encoder": _language_model,
    "decoder": _language_model,
    "cascade": _language_model,
}
