"""The run spec: everything that decides a run's result, frozen, checked, hashed.

A spec is read from a TOML file (contract/spec_files.py) or a request and stored whole in the
ledger; its hash is what "nothing is recomputed" means.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field

from llmrec_core.contract.bounds import (
    Device,
    HistoryAttention,
    Layers,
    Minutes,
    Name,
    Precision,
    Runtime,
    Seed,
    Steps,
    Users,
)
from llmrec_core.contract.endpoint import FEWEST_LETTERS, LETTERS, EndpointSpec
from llmrec_core.contract.families import family_named, recorded_family
from llmrec_core.contract.family import Adaptation
from llmrec_core.contract.gate_rules import refuse_a_gate
from llmrec_core.contract.ignored_settings import refuse_what_is_ignored
from llmrec_core.contract.letters import require_letters, require_lists_fit
from llmrec_core.contract.parsing import Flag, Number, Text, Whole, parse, parsed, restored
from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.errors import UsageError
from llmrec_core.language import t

_YOUNGER_FIELDS = (
    ("protocol", "repeats", "first"),
    ("protocol", "also_time", False),
    ("recommender", "backbone_hash", ""),
    ("recommender", "endpoint", dataclasses.asdict(EndpointSpec())),
    ("recommender", "gate", "none"),
    ("recommender", "relations", 0),
)
"""Fields that came after version 0.1, with what every run did before: such a run keeps its hash."""


@parsed
class DataSpec:
    """Which data set; `content_hash` is filled in when the run is queued."""

    name: Name = "ml-100k"
    """Name of a data set: a built-in one, or what `data import` called it."""
    content_hash: Name = ""
    """Hash of its content, filled in when the run is queued."""


@parsed
class RecommenderSpec:
    """Which recommender."""

    family: Name = "popularity"
    """Which kind of recommender, e.g. `item-knn`, `sasrec` or `cross-encoder`."""
    backbone: Name = ""
    """`minilm-l6`, `smollm2-135m`, `gemma3-270m`, a Hugging Face id or a folder; else empty."""
    backbone_hash: Name = ""
    """What the backbone's files were when the run was queued (models/model_folder.py); empty for a
    built-in backbone, whose files are pinned by its name."""
    depth: Layers = 0
    """Layers kept, from the first; 0 keeps all."""
    adaptation: Adaptation = "none"
    """What training changes: `none` (zero-shot), `head`, `lora` or `full`."""
    history_attention: HistoryAttention = "shared"
    """`shared` reads the history once. `per_item` does so with no item of it seeing another.
    `full` reads every pair of history and candidate alone."""
    history_items: Annotated[Whole, Field(ge=1, le=100_000)] = 10
    """Most recent items put into the prompt or sequence."""
    head: Literal["linear", "attention", "pooler", "yes-no", "letters"] = "linear"
    """`linear` reads the first candidate token, `attention` pools over all candidate tokens,
    `pooler` is the backbone's own, `yes-no` compares the probabilities of two words, and `letters`
    reads up to 26 candidates in one prompt and compares the probabilities of their letters."""
    lora_rank: Annotated[Whole, Field(ge=1, le=4_096)] = 8
    """Rank of the extra matrices of LoRA."""
    lora_alpha: Annotated[Number, Field(gt=0, le=1_000_000)] = 16.0
    """Scale of the extra matrices of LoRA: they count alpha ÷ rank."""
    freeze_layers: Layers = 0
    """Lowest layers (and embeddings, if above 0) kept frozen in full fine-tuning."""
    retriever: Name = ""
    """For a cascade or a decoder: the cheap family whose top `rerank_k` are scored."""
    rerank_k: Annotated[Whole, Field(ge=0, le=1_000_000)] = 0
    """Candidates of the retriever that the reader puts in order."""
    blend: Literal["none", "validation"] = "none"
    """For a cascade: `none` orders the K by the reader alone, `validation` learns a mix with the
    retriever's score."""
    gate: Literal["none", "validation"] = "none"
    """For a cascade: `none` reads every request, `validation` learns which requests the language
    model has to read; the others keep the retriever's order, at its price."""
    relations: Annotated[Whole, Field(ge=0, le=20)] = 0
    """Relations of an item that follow its text as a candidate, the rarest first, at most so many;
    0 puts none. The data set must have a table of relations (data/relations.py)."""
    options: dict[Text, Number] = field(default_factory=dict)
    """Numbers of one family: EASE `l2`, item-kNN `neighbours`, SASRec `width`, …"""
    endpoint: EndpointSpec = field(default_factory=EndpointSpec)
    """For the family `hosted`: where its model answers, and what that may cost."""

    def __post_init__(self) -> None:
        """Refuse what contradicts the family."""
        family = family_named(self.family)
        if family.backbones and family.group != "cascade" and not self.backbone:
            raise UsageError(
                t(
                    "recommender.family {family!r} needs recommender.backbone, e.g. {usual!r}",
                    family=self.family,
                    usual=family.backbones[0],
                )
            )
        if family.group == "fusion" and "+" not in self.retriever:
            raise UsageError(
                t(
                    "recommender.family {family!r} needs two or more families joined by + in "
                    "recommender.retriever, e.g. 'item-knn+tf-idf', not {retriever!r}",
                    family=self.family,
                    retriever=self.retriever,
                )
            )
        if family.group == "cascade" and not (self.retriever and self.rerank_k):
            raise UsageError(
                t(
                    "recommender.family {family!r} needs recommender.retriever and "
                    "recommender.rerank_k",
                    family=self.family,
                )
            )
        if family.group == "hosted":
            self._require_hosted()
        elif self.endpoint != EndpointSpec():
            raise UsageError(
                t(
                    "recommender.endpoint is given, but {family!r} asks no endpoint; leave it out",
                    family=self.family,
                )
            )
        if self.adaptation == "head" and self.head in ("yes-no", "letters"):
            raise UsageError(
                t(
                    "recommender.adaptation 'head' contradicts recommender.head {head!r}, which "
                    "has no weights of its own; use head = 'linear' or adaptation = 'lora'",
                    head=self.head,
                )
            )
        require_letters(self)

    def _require_hosted(self) -> None:
        """Refuse a hosted model without a retriever, or with more candidates than letters."""
        if not self.retriever:
            raise UsageError(
                t(
                    "recommender.family {family!r} needs recommender.retriever, the recommender "
                    "whose best items it puts in order, e.g. 'item-knn' or 'item-knn+tf-idf'",
                    family=self.family,
                )
            )
        if not FEWEST_LETTERS <= self.rerank_k <= len(LETTERS):
            raise UsageError(
                t(
                    "recommender.rerank_k is {count}; a hosted model orders {low} to {high} "
                    "candidates, since each has a letter of its own",
                    count=self.rerank_k,
                    low=FEWEST_LETTERS,
                    high=len(LETTERS),
                )
            )
        self.endpoint.require_complete()

    @property
    def learns(self) -> bool:
        """Whether interactions change it: a backbone that is not trained answers as it came."""
        always = "none" not in recorded_family(self.family).adaptations
        return always or not self.backbone or self.adaptation != "none"

    @property
    def families(self) -> list[str]:
        """Its family, and those that retrieve for it or are fused by it."""
        return [self.family, *(name for name in self.retriever.split("+") if name)]


@parsed
class TrainingSpec:
    """How weights are trained; a recommender that has none does not look at it."""

    objective: Literal["listwise", "bce", "mse", "pairwise"] = "listwise"
    """`listwise` is a softmax over the positives and the negatives, `bce` the negative log
    likelihood of each, `mse` the squared error, `pairwise` compares two."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """What turns gradients into steps."""
    learning_rate: Annotated[Number, Field(gt=0, le=100)] = 1e-4
    """The rate at the end of the warm-up."""
    schedule: Literal["linear", "cosine", "exponential", "constant"] = "linear"
    """How the rate falls after the warm-up."""
    warmup_steps: Annotated[Whole, Field(ge=0, le=100_000_000)] = 20
    """Steps in which the rate rises from 0."""
    weight_decay: Annotated[Number, Field(ge=0, le=100)] = 0.01
    """How fast the optimiser draws weights towards 0."""
    dropout: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    """Share of activations set to 0 in training."""
    clip_norm: Annotated[Number, Field(ge=0, le=1_000_000)] = 1.0
    """Largest norm of a step's gradient; 0 does not clip."""
    steps: Steps = 200
    """Steps of the optimiser."""
    batch_histories: Annotated[Whole, Field(ge=1, le=1_000_000)] = 8
    """Histories read in one batch."""
    positives: Annotated[Whole, Field(ge=1, le=10_000)] = 1
    """Items after the history that are learned from one reading of it (language models)."""
    negatives: Annotated[Whole, Field(ge=1, le=1_000_000)] = 15
    """Items drawn for each history that did not follow it."""
    negative_sampling: Literal["uniform", "popular"] = "uniform"
    """How they are drawn: all alike, or by popularity."""
    accumulate: Annotated[Whole, Field(ge=1, le=10_000)] = 1
    """Batches whose gradients one step adds up."""
    activation_checkpointing: Flag = False
    """Compute activations again in the backward pass, for less memory."""
    validate_every: Steps = 50
    """Steps between two validations."""
    validation_users: Users = 100
    """Users whose NDCG a validation measures; 0 takes all."""
    patience: Annotated[Whole, Field(ge=0, le=1_000_000)] = 0
    """Validations without a better NDCG before stopping; 0 never stops early."""
    max_minutes: Minutes = 60.0
    """Training stops after so many minutes, with what it has."""
    checkpoint_minutes: Minutes = 2.0
    """Minutes between two checkpoints."""

    def __post_init__(self) -> None:
        """Refuse a warm-up that outlasts the training."""
        if self.warmup_steps >= self.steps:
            raise UsageError(
                t(
                    "training.warmup_steps {warmup_steps} contradicts training.steps {steps}: the "
                    "warm-up must end before the training does",
                    warmup_steps=self.warmup_steps,
                    steps=self.steps,
                )
            )


@parsed
class RunSpec:
    """One run, whole."""

    name: Name = ""
    """What a person calls the row, e.g. "MiniLM cross-encoder, 6 layers, LoRA"."""
    data: DataSpec = field(default_factory=DataSpec)
    """What it learns from."""
    protocol: ProtocolSpec = field(default_factory=ProtocolSpec)
    """How its quality is measured."""
    recommender: RecommenderSpec = field(default_factory=RecommenderSpec)
    """Which recommender it fits."""
    training: TrainingSpec = field(default_factory=TrainingSpec)
    """How its weights are trained."""
    precision: Precision = "fp32"
    """The number format of the weights that are measured."""
    runtime: Runtime = "eager"
    """What executes the model."""
    device: Device = "auto"
    """Where it runs: `auto` takes an NVIDIA GPU where torch sees one."""
    seed: Seed = 0
    """Seed of training: weights, order, negatives."""
    weights_from: Name = ""
    """Name of another run of the study whose trained weights this one uses (int8 of it, a cascade
    over it, a fusion with it) or, as a student, learns from. `best:cross-encoder` takes the
    finished run of that family with the best validation NDCG."""
    minutes: Annotated[Number, Field(ge=0, le=1_000_000)] = 0.0
    """Expected minutes on 2 CPU cores: they order the queue (cheap first) and feed the estimate of
    the time left."""

    @property
    def hash(self) -> str:
        """Hash of everything that decides the result; the name and expected minutes do not."""
        body = dataclasses.asdict(self)
        del body["name"], body["minutes"]
        for table, name, usual in _YOUNGER_FIELDS:
            if body[table][name] == usual:
                del body[table][name]
        rule = scoring_rule(self)
        if rule > FIRST_RULE:
            body["scoring_rule"] = rule
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def borrows_weights(self) -> bool:
        """Whether the weights are another run's, so that none are trained here."""
        return bool(self.weights_from) and not recorded_family(self.recommender.family).has_teacher

    def to_dict(self) -> dict[str, Any]:
        """The spec as the ledger stores it."""
        return dataclasses.asdict(self)


FIRST_RULE = 1
"""The scoring rule of version 0.1, which its hashes do not name."""


def scoring_rule(spec: RunSpec) -> int:
    """Version of the code that makes a run's scores: another one makes it another run.

    Rule 2 sums SASRec's loss over all micro-batches of a step, and reads texts as far as the
    backbone's folder says, where rule 1 cut them at 64 tokens. The longest of ml-100k has 29. Among
    items that a retriever scores alike it passes those with the lowest codes on, where rule 1 took
    them as they were offered, the withheld item first; on ml-100k that never let it in.
    """
    chosen = spec.recommender
    sums_micro_batches = chosen.family in ("sasrec", "text-sasrec") and spec.training.accumulate > 1
    reads_long_texts = (
        chosen.family in ("bi-encoder", "text-sasrec") and spec.data.name != "ml-100k"
    )
    breaks_ties = (
        bool(chosen.retriever and chosen.rerank_k)
        and spec.protocol.candidates != "full"
        and spec.data.name != "ml-100k"
    )
    return 2 if sums_micro_batches or reads_long_texts or breaks_ties else FIRST_RULE


def run_from_dict(table: Mapping[str, Any], where: str = "run") -> RunSpec:
    """The run that somebody describes, by hand in TOML or on a page.

    Args:
        table: fields of a run, with tables of `data`, `protocol`, `recommender` and `training`.
        where: what a refusal names before the field, e.g. the file.

    Raises:
        UsageError: for an unknown field, a wrong value, a contradiction, an option that the family
            does not have, or a setting that it would ignore; it names the field.
    """
    spec = parse(RunSpec, table, where)
    try:
        family_named(spec.recommender.family).check(spec.recommender)
        for name in spec.recommender.families:
            family_named(name)
        refuse_what_is_ignored(spec, family_named(spec.recommender.family))
        refuse_a_gate(spec, family_named(spec.recommender.family))
        require_lists_fit(spec)
    except UsageError as error:
        raise UsageError(t("{where}: {sentence}", where=where, sentence=error)) from None
    return spec


def stored_run(table: Mapping[str, Any]) -> RunSpec:
    """The run that `RunSpec.to_dict` wrote, after it was checked; see `parsing.restored`.

    Args:
        table: fields of a run, as the ledger or a model's folder holds them.
    """
    return restored(RunSpec, table)
