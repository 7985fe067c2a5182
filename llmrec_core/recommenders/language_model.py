"""Cross-encoders (BERT type) and decoders (GPT type) as recommenders: trained, packed, saved."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from llmrec_core.contract.spec import RunSpec, stored_run
from llmrec_core.data.item_texts import item_texts
from llmrec_core.errors import NotFiniteError
from llmrec_core.language import t
from llmrec_core.models.backbones import Backbone, load_backbone
from llmrec_core.models.devices import pick_device
from llmrec_core.models.model_folder import require_same
from llmrec_core.models.precision import apply_precision
from llmrec_core.models.prompt_layout import PromptLayout
from llmrec_core.models.runtimes import apply_runtime
from llmrec_core.models.scorer_model import ScorerModel, merge_lora, set_trainable
from llmrec_core.models.weights_version import weights_version
from llmrec_core.profiling.probe import require
from llmrec_core.profiling.request_flops import request_flops
from llmrec_core.profiling.weights import weight_bytes
from llmrec_core.recommenders.exit_calibration import calibrate_exit
from llmrec_core.recommenders.model_refusals import (
    require_as_saved,
    require_meaning,
    require_same_data,
    require_same_relations,
)
from llmrec_core.scoring.early_exit import EarlyExit
from llmrec_core.scoring.finite import require_finite
from llmrec_core.scoring.scorer import Scorer
from llmrec_core.training.checkpoints import read_folder, write_folder
from llmrec_core.training.loop import TrainingResult, train
from llmrec_core.training.objectives import OBJECTIVES
from llmrec_core.training.sampling import GroupBatch, GroupSampler
from llmrec_core.training.validation import validator
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.settings import Settings

SEEDED_HEAD = 7
"""Added to the run's seed for the head's first weights."""
FEW = 4
"""Up to so many candidates a history, several histories share a pass."""


class LanguageModelRecommender:
    """A backbone with a head that reads a history and a candidate together."""

    def __init__(self, spec: RunSpec, dataset: Dataset, settings: Settings) -> None:
        """Load the backbone and tokenise the catalogue.

        Raises:
            CheckpointError: when the backbone is no longer the one that the spec was queued for.
            LlmrecError: as `load_backbone`, `PromptLayout` and `ScorerModel`.
        """
        self.spec, self.dataset, self.settings = spec, dataset, settings
        chosen = spec.recommender
        backbone = load_backbone(
            chosen.backbone, settings, depth=chosen.depth, identity=chosen.backbone_hash
        )
        require_same(chosen.backbone, chosen.backbone_hash, backbone.identity, spec.name)
        layout = self._layout_of(backbone)
        torch.manual_seed(spec.seed + SEEDED_HEAD)
        self.model = ScorerModel(
            backbone, layout, head=chosen.head, history_attention=chosen.history_attention
        )
        self.model.to(pick_device(spec.device))
        self.parameters = sum(p.numel() for p in self.model.parameters())
        self.trainable = 0
        self.loaded = False
        """True once trained weights came from a folder: another fit would change another run's."""
        self.scorer = self._scorer_of(self.model)
        self.result: TrainingResult | None = None
        self.speed_note = ""
        """What the probe of this precision and runtime said on this device."""

    def _layout_of(self, backbone: Backbone) -> PromptLayout:
        """How prompts are put together for a backbone."""
        return PromptLayout(
            backbone.tokenizer,
            decoder=backbone.decoder,
            history_texts=item_texts(self.dataset, genres=False),
            candidate_texts=item_texts(
                self.dataset,
                genres=not backbone.decoder,
                relations=self.spec.recommender.relations,
            ),
            history_items=self.spec.recommender.history_items,
            max_tokens=backbone.stack.max_tokens,
        )

    def _scorer_of(self, model: ScorerModel) -> Scorer:
        """What scores with a model."""
        return Scorer(model)

    @classmethod
    def of_spec(
        cls, spec: RunSpec, dataset: Dataset, settings: Settings, parent: Path | None
    ) -> LanguageModelRecommender:
        """As `FamilyClass.of_spec`; of a cascade's folder it takes the reader."""
        if parent is None:
            return cls(spec, dataset, settings)
        reader = parent / "reader"
        return cls.load(reader if reader.is_dir() else parent, dataset, settings, variant=spec)

    def forget_histories(self) -> None:
        """As `RemembersHistories.forget_histories`."""
        self.scorer.weights_changed()

    @property
    def trained(self) -> bool:
        """Whether fitting trains weights."""
        return self.spec.recommender.adaptation != "none"

    def fit(self, split: Split, context: RunContext) -> None:
        """Train, or make sure that what is not trained means something; see `Recommender.fit`.

        Raises:
            UsageError: when nothing is trained and the head is fresh, or an option is unknown.
            NotFiniteError: when training diverges.
        """
        if self.layout.cut_note():
            context.log(self.layout.cut_note())
        if self.trained and not self.loaded:
            self._train(split, context)
        elif not self.loaded:
            require_meaning(self.model)
        if self.spec.recommender.options:
            self._calibrate(split, context)

    def _calibrate(self, split: Split, context: RunContext) -> None:
        """Find what the options ask for, once the weights are final."""
        calibrate_exit(self.scorer, self.spec, split, context)

    def _train(self, split: Split, context: RunContext) -> None:
        chosen, training = self.spec.recommender, self.spec.training
        self._adapt()
        self.model.backbone.stack.set_dropout(training.dropout)
        self.model.checkpointing = training.activation_checkpointing
        sampler = GroupSampler(
            split,
            history_items=chosen.history_items,
            positives=training.positives,
            negatives=training.negatives,
            seed=self.spec.seed,
            popular=training.negative_sampling == "popular",
        )
        objective, device = OBJECTIVES[training.objective], self.model.device
        if sampler.note():
            context.log(sampler.note())

        @lru_cache(maxsize=training.accumulate)
        def groups(number: int) -> GroupBatch:
            return sampler.batch(number, training.batch_histories)

        def loss_at(number: int) -> torch.Tensor:
            batch = groups(number)
            real = batch.real
            scores = self._training_scores(number, batch)
            counted = None if real.all() else torch.from_numpy(real).to(device)
            return objective.loss(scores, training.positives, counted)

        def score(histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
            self.scorer.weights_changed()
            return self.score(histories, candidates)

        self.result = train(
            self.model,
            loss_at,
            training,
            context,
            seed=self.spec.seed,
            weight_at=lambda number: objective.weight(groups(number).real, training.positives),
            validate=validator(split, score, self._validated()),
        )
        self.model.checkpointing = False
        self.scorer.weights_changed()

    def _training_scores(self, number: int, batch: GroupBatch) -> torch.Tensor:
        """Scores (groups, P + N) of training batch `number`, with gradients.

        Padding is scored as item 0; the loss leaves it out.
        """
        prompts = [self.model.layout.history(history) for history in batch.histories]
        scores: torch.Tensor = self.model(prompts, np.maximum(batch.items, 0))
        return scores.float()

    def _validated(self) -> RunSpec:
        """The run whose protocol validations follow."""
        return self.spec

    def _adapt(self) -> None:
        chosen = self.spec.recommender
        set_trainable(
            self.model,
            chosen.adaptation,
            freeze_layers=chosen.freeze_layers,
            rank=chosen.lora_rank,
            alpha=chosen.lora_alpha,
        )
        self.model.to(self.model.device)  # fresh adapters are made on the CPU
        self.trainable = sum(p.numel() for p in self.model.parameters() if p.requires_grad)

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """Scores of candidates after each history; see `Recommender.score`.

        Raises:
            NotFiniteError: when a score is no finite number.
        """
        try:
            return self._score(histories, candidates)
        except NotFiniteError:
            if self.trained:  # say how the weights were trained
                require_finite(np.array([np.nan]), training=self.spec.training)
            raise

    def _score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        if candidates.shape[1] <= FEW and len(histories) > 1 and (candidates >= 0).all():
            prompts = [
                self.model.layout.history([int(i) for i in history]) for history in histories
            ]
            batched: np.ndarray = self.scorer.score_batch(prompts, candidates.astype(np.int64))
            return batched
        scores = np.full(candidates.shape, -np.inf, dtype=np.float32)
        for row, (history, items) in enumerate(zip(histories, candidates, strict=True)):
            real = items >= 0
            scores[row, real] = self.scorer.scores(
                [int(i) for i in history], items[real].astype(np.int64)
            )
        return scores

    def reads(self, history: np.ndarray) -> int:
        """How many of the latest items of a history can change a score."""
        return len(self.model.layout.keep(history))

    @property
    def layout(self) -> PromptLayout:
        """How its prompts are put together."""
        return self.model.layout

    def network(self) -> ScorerModel:
        """The model that scores."""
        return self.model

    def weights_version(self) -> tuple[object, ...]:
        """A value that changes whenever a weight of the model is written or replaced."""
        return weights_version(self.model)

    def with_network(self, network: ScorerModel) -> LanguageModelRecommender:
        """A copy of this recommender that scores with another model of the same shape."""
        other = copy.copy(self)
        other.model, other.scorer = network, self._scorer_of(network)
        return other

    def ready(self, precision: str = "fp32") -> None:
        """Make the model fit for serving: adapters merged, weights and runtime as wanted.

        Args:
            precision: of the weights; the runtime is the spec's.

        Raises:
            UnsupportedError: when this device has no such precision or runtime, with what was
                measured.
        """
        if self.spec.recommender.adaptation == "lora":
            merge_lora(self.model)
        runtime = self.spec.runtime
        if (precision, runtime) != ("fp32", "eager"):
            self.speed_note = require(
                precision, runtime, self.settings, self.model.device.type
            ).reason
        apply_precision(self.model, precision)
        apply_runtime(self.model, runtime, precision)
        self.scorer.weights_changed()

    def save(self, folder: Path) -> None:
        """Write the trained weights alone, and what they belong to.

        Full fine-tuning trains all weights, LoRA adapters and head. This is to be called before
        `ready`, which merges and quantises.
        """
        weights = (
            {name: p for name, p in self.model.named_parameters() if p.requires_grad}
            if self.trained
            else {}
        )
        state = {
            "spec": self.spec.to_dict(),
            "dataset": self.dataset.name,
            "content_hash": self.dataset.content_hash,
            "backbone_identity": self.model.backbone.identity,
            "prompt": self.model.layout.fingerprint,
        }
        if self.scorer.exit is not None:
            state["exit"] = self.scorer.exit.to_dict()
        write_folder(folder, {"weights": weights} if weights else {}, state)

    @classmethod
    def load(
        cls,
        folder: Path,
        dataset: Dataset,
        settings: Settings | None = None,
        *,
        variant: RunSpec | None = None,
    ) -> LanguageModelRecommender:
        """The recommender saved in a folder, to be made `ready`.

        Args:
            folder: that `save` wrote.
            dataset: of the version it was trained on.
            settings: where backbones stand; None takes the environment's.
            variant: a spec whose precision, runtime, protocol, options and retriever replace the
                saved ones.

        Raises:
            CheckpointError: when the folder is damaged, or it was made with another catalogue,
                another backbone or another prompt.
            UsageError: when `variant` asks for other relations in the texts than were trained with.
        """
        from llmrec_core.settings import load_settings

        tensors, state = read_folder(folder)
        require_same_data(state, dataset, folder)
        spec = stored_run(state["spec"])
        if variant is not None:
            served = variant.recommender
            require_same_relations(spec.recommender, served, folder)
            spec = dataclasses.replace(
                spec,
                precision=variant.precision,
                runtime=variant.runtime,
                protocol=variant.protocol,
                recommender=dataclasses.replace(
                    spec.recommender,
                    options=served.options,
                    retriever=served.retriever,
                    rerank_k=served.rerank_k,
                ),
            )
        recommender = cls(spec, dataset, settings or load_settings())
        recommender.loaded = True
        require_as_saved(state, recommender.model, spec, folder)
        if "exit" in state and variant is None:
            recommender.scorer.exit = EarlyExit.from_dict(state["exit"])
        if recommender.trained:
            recommender._adapt()
            named = dict(recommender.model.named_parameters())
            with torch.no_grad():
                for name, value in tensors["weights"].items():
                    named[name].copy_(value)
        return recommender

    def describe(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> Description:
        """Parameters, bytes and FLOPs of these requests; see `Recommender.describe`."""
        flops, read, offered = zip(
            *(
                self._request_costs(history, row[row >= 0].astype(np.int64))
                for history, row in zip(histories, candidates, strict=True)
            ),
            strict=True,
        )
        notes = self._notes() | {
            "history_tokens": round(float(np.mean(read)), 1),
            "candidate_tokens": round(float(np.mean(offered)), 1),
        }
        if self.layout.cut:
            notes["texts"] = self.layout.cut_note()
        return Description(
            self.parameters,
            self.trainable,
            weight_bytes(self.model),
            float(np.mean(flops)),
            notes,
        )

    def _request_costs(self, history: np.ndarray, items: np.ndarray) -> tuple[float, int, float]:
        """FLOPs of a request, tokens of its history, and mean tokens of what is read after it."""
        prompt, lengths = self.layout.history(history), self.layout.candidate_lengths[items]
        flops = request_flops(self.scorer, prompt, items)
        return flops, len(prompt), float(lengths.mean()) if len(items) else 0.0

    def _notes(self) -> dict[str, Any]:
        """What the record says of the model: where its weights come from, which are not used."""
        backbone = self.model.backbone
        notes: dict[str, Any] = {
            "backbone": backbone.provenance,
            "backbone_identity": backbone.identity,
            "layers": len(backbone.stack.blocks),
            "head": self.model.head_kind,
            "head_starts_from": t("random weights")
            if self.model.head.fresh
            else t("weights of the backbone"),
        }
        unused = list(backbone.unused)
        if backbone.stored_head is not None and self.model.head.fresh:
            unused.append("classifier")
        if unused:
            notes["weights_not_used"] = unused
        if self.scorer.exit is not None:
            notes["early_exit"] = {
                "layer": self.scorer.exit.depth,
                "candidates_that_read_on": self.scorer.exit.survivors,
            }
        if self.speed_note:
            notes["speed"] = self.speed_note
        return notes
