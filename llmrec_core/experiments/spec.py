"""The run spec: everything that decides a run's result, frozen, checked once, hashed.

A spec is read from TOML (one run, or a study with `[defaults]` and `[[run]]` tables), stored whole
in the ledger, and its hash is what "nothing is recomputed" means.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import tomllib
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from llmrec_core.errors import UsageError
from llmrec_core.types import SPLITS

FAMILIES = (
    "popularity",
    "item-knn",
    "ease",
    "tf-idf",
    "bm25",
    "als",
    "bpr",
    "fusion",
    "sasrec",
    "text-sasrec",
    "bi-encoder",
    "cross-encoder",
    "decoder",
    "cascade",
)
NEURAL_TEXT = ("bi-encoder", "cross-encoder", "decoder", "text-sasrec")


def _choice(owner: str, name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        near = get_close_matches(str(value), allowed, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"{owner}.{name} is {value!r}; expected one of {', '.join(allowed)}.{hint}")


def _positive(owner: str, name: str, value: float) -> None:
    if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
        raise UsageError(f"{owner}.{name} is {value!r}; expected a finite number above 0")


@dataclass(frozen=True)
class DataSpec:
    """Which data set; `content_hash` is filled in when the run is queued."""

    name: str = "ml-100k"
    content_hash: str = ""


@dataclass(frozen=True)
class ProtocolSpec:
    """How quality is measured. Its name is `split/candidates`, e.g. `loo/100-uniform`."""

    split: str = "loo"
    """`loo`: each user's last item, ties in file order. `time`: everything after a global instant. `loo-cold-items`: as `loo`, a
    tenth of the items without any training and only they are asked for. `loo-cold-users`: a fifth of the users likewise."""
    candidates: str = "100-uniform"
    """`full`; `N-uniform` or `N-popular`: the withheld item and N-1 unseen ones, fixed by seed; `given-NAME`: the data set's own lists."""
    also_full: bool = False
    """Measure `split/full` besides, for recommenders that can afford it."""
    k: int = 10
    users: int = 400
    """Users sampled for evaluation, the same for every run with the same seed; 0 = all."""
    seed: int = 0

    def __post_init__(self) -> None:
        _choice("protocol", "split", self.split, SPLITS)
        count, _, kind = self.candidates.partition("-")
        if count == "given" and kind:
            if self.split != "loo":
                raise UsageError(
                    f"protocol.candidates {self.candidates!r} contradicts protocol.split {self.split!r}: published lists are of "
                    "what comes after a user's last but one item; use split 'loo'"
                )
        elif self.candidates != "full" and (
            kind not in ("uniform", "popular") or not count.isdigit() or int(count) < 2
        ):
            raise UsageError(
                f"protocol.candidates is {self.candidates!r}; expected 'full', e.g. '100-uniform' or 'given-bm25'"
            )
        _positive("protocol", "k", self.k)

    @property
    def name(self) -> str:
        return f"{self.split}/{self.candidates}"


@dataclass(frozen=True)
class RecommenderSpec:
    """Which recommender."""

    family: str = "popularity"
    backbone: str = ""
    """`minilm-l6`, `smollm2-135m`, a Hugging Face id or a local folder; empty for id models."""
    depth: int = 0
    """Layers kept, from the first; 0 = all."""
    adaptation: str = "none"
    """`none` (zero-shot), `head`, `lora`, `full`."""
    history_attention: str = "shared"
    """`shared`: history read once; `per_item`: the same, no item of it seeing another; `full`: every pair read alone."""
    history_items: int = 10
    """Most recent items put into the prompt or sequence."""
    head: str = "linear"
    """`linear` (first candidate token), `attention` (pooling over candidate tokens), `yes-no`."""
    lora_rank: int = 8
    lora_alpha: float = 16.0
    freeze_layers: int = 0
    """Lowest layers (and embeddings, if above 0) kept frozen in full fine-tuning."""
    retriever: str = ""
    """Cascade or decoder: the cheap family whose top `rerank_k` are scored."""
    rerank_k: int = 0
    blend: str = "none"
    """Cascade: `none` orders the K by the reader alone, `validation` learns a mix with the retriever's score."""
    options: dict[str, float] = field(default_factory=dict)
    """Numbers of one family: EASE `l2`, item-kNN `neighbours`, SASRec `width`, …"""

    def __post_init__(self) -> None:
        _choice("recommender", "family", self.family, FAMILIES)
        _choice("recommender", "adaptation", self.adaptation, ("none", "head", "lora", "full"))
        _choice("recommender", "history_attention", self.history_attention, ("shared", "per_item", "full"))
        _choice("recommender", "head", self.head, ("linear", "attention", "pooler", "yes-no"))
        _choice("recommender", "blend", self.blend, ("none", "validation"))
        _positive("recommender", "history_items", self.history_items)
        if self.family in NEURAL_TEXT and not self.backbone:
            raise UsageError(f"recommender.family {self.family!r} needs recommender.backbone, e.g. 'minilm-l6'")
        if self.family == "fusion" and "+" not in self.retriever:
            raise UsageError(
                "recommender.family 'fusion' needs two or more families joined by + in recommender.retriever, e.g. "
                f"'item-knn+tf-idf', not {self.retriever!r}"
            )
        if self.family == "cascade" and not (self.retriever and self.rerank_k):
            raise UsageError("recommender.family 'cascade' needs recommender.retriever and recommender.rerank_k")
        if self.adaptation == "head" and self.head == "yes-no":
            raise UsageError(
                "recommender.adaptation 'head' contradicts recommender.head 'yes-no', which has no weights of "
                "its own; use head = 'linear' or adaptation = 'lora'"
            )


@dataclass(frozen=True)
class TrainingSpec:
    """How weights are trained; ignored by recommenders that have none."""

    objective: str = "listwise"
    """`listwise` softmax over a positive and the negatives, `bce` (NLL), `mse`, `pairwise`."""
    optimizer: str = "adamw"
    learning_rate: float = 1e-4
    schedule: str = "linear"
    """`linear`, `cosine`, `exponential`, `constant`, after the warm-up."""
    warmup_steps: int = 20
    weight_decay: float = 0.01
    dropout: float = 0.0
    clip_norm: float = 1.0
    steps: int = 200
    batch_histories: int = 8
    positives: int = 1
    """Items after the history that are learned from one reading of it (language models)."""
    negatives: int = 15
    negative_sampling: str = "uniform"
    accumulate: int = 1
    activation_checkpointing: bool = False
    validate_every: int = 50
    validation_users: int = 100
    patience: int = 0
    """Validations without a better NDCG before stopping; 0 = never stop early."""
    max_minutes: float = 60.0
    checkpoint_minutes: float = 2.0

    def __post_init__(self) -> None:
        _choice("training", "objective", self.objective, ("listwise", "bce", "mse", "pairwise"))
        _choice("training", "optimizer", self.optimizer, ("adamw", "sgd"))
        _choice("training", "schedule", self.schedule, ("linear", "cosine", "exponential", "constant"))
        _choice("training", "negative_sampling", self.negative_sampling, ("uniform", "popular"))
        for name in ("learning_rate", "steps", "batch_histories", "positives", "negatives", "max_minutes"):
            _positive("training", name, getattr(self, name))
        _positive("training", "checkpoint_minutes", self.checkpoint_minutes)
        if not 0 <= self.dropout < 1:
            raise UsageError(f"training.dropout is {self.dropout!r}; expected 0 ≤ dropout < 1")
        if self.warmup_steps >= self.steps:
            raise UsageError(
                f"training.warmup_steps {self.warmup_steps} contradicts training.steps {self.steps}: "
                "the warm-up must end before the training does"
            )


@dataclass(frozen=True)
class RunSpec:
    """One run, whole."""

    name: str = ""
    """What a person calls the row, e.g. "MiniLM cross-encoder, 6 layers, LoRA"."""
    data: DataSpec = field(default_factory=DataSpec)
    protocol: ProtocolSpec = field(default_factory=ProtocolSpec)
    recommender: RecommenderSpec = field(default_factory=RecommenderSpec)
    training: TrainingSpec = field(default_factory=TrainingSpec)
    precision: str = "fp32"
    runtime: str = "eager"
    device: str = "auto"
    seed: int = 0
    weights_from: str = ""
    """Name of another run of the study whose trained weights this one uses (int8 of it, a cascade over it).
    `best:cross-encoder` takes the finished run of that family with the best validation NDCG."""
    minutes: float = 0.0
    """Expected minutes on 2 CPU cores: orders the queue (cheap first) and feeds the time-left estimate."""

    def __post_init__(self) -> None:
        _choice("run", "precision", self.precision, ("fp32", "tf32", "bf16", "fp16", "int8", "int8-dynamic", "int4"))
        _choice("run", "runtime", self.runtime, ("eager", "compile", "onnx"))

    @property
    def hash(self) -> str:
        """Hash of everything that decides the result; the name and expected minutes do not."""
        body = dataclasses.asdict(self)
        del body["name"], body["minutes"]
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class StudySpec:
    """A named list of runs that share data and protocol."""

    name: str
    title: str
    runs: tuple[RunSpec, ...]


_NESTED = {"data": DataSpec, "protocol": ProtocolSpec, "recommender": RecommenderSpec, "training": TrainingSpec}


def _build(kind: type, table: dict[str, Any], where: str) -> Any:
    known = {f.name for f in dataclasses.fields(kind)}
    for name in table:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else f" Known fields: {', '.join(sorted(known))}."
            raise UsageError(f"{where} has an unknown field {name!r}.{hint}")
    values = dict(table)
    if kind is RunSpec:
        for name, nested in _NESTED.items():
            if name in values:
                values[name] = _build(nested, values[name], f"{where}.{name}")
    try:
        return kind(**values)
    except TypeError as error:
        raise UsageError(f"{where}: {error}") from error


def run_from_dict(table: dict[str, Any], where: str = "run") -> RunSpec:
    """The spec written by `RunSpec.to_dict`, or by hand in TOML.

    Raises:
        UsageError: for an unknown field, a wrong value or a contradiction, naming the field.
    """
    return _build(RunSpec, table, where)


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        merged[name] = _merge(merged[name], value) if isinstance(value, dict) and name in merged else value
    return merged


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            f"no file {path}; give the path of a spec in TOML, e.g. assets/studies/default.toml"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error


def load_run(path: Path) -> RunSpec:
    """One run from a TOML file."""
    return run_from_dict(_read_toml(path), path.name)


def load_study(path: Path) -> StudySpec:
    """A study from a TOML file with `name`, `title`, `[defaults]` and `[[run]]` tables.

    Raises:
        UsageError: as `run_from_dict`, and when two runs have one name.
    """
    table = _read_toml(path)
    unknown = set(table) - {"name", "title", "defaults", "run"}
    if unknown or not table.get("run"):
        raise UsageError(
            f"{path.name}: expected name, title, [defaults] and at least one [[run]]"
            + (f"; unknown: {', '.join(sorted(unknown))}" if unknown else "")
        )
    runs = tuple(
        run_from_dict(_merge(table.get("defaults", {}), run), f"{path.name}: run {run.get('name', number)!r}")
        for number, run in enumerate(table["run"], 1)
    )
    names = [run.name for run in runs]
    for name in names:
        if not name or names.count(name) > 1:
            raise UsageError(f"{path.name}: every run needs a name of its own; {name!r} is empty or repeated")
    return StudySpec(table.get("name", path.stem), table.get("title", path.stem), runs)
