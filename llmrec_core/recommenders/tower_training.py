"""How two towers are trained, and how their catalogue is encoded."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from llmrec_core.contract.recommender import Score
from llmrec_core.contract.spec import RunSpec
from llmrec_core.data.item_texts import item_texts
from llmrec_core.models.backbones import Backbone, load_backbone
from llmrec_core.models.devices import pick_device
from llmrec_core.models.model_folder import identity_of, require_same
from llmrec_core.models.scorer_model import set_trainable
from llmrec_core.models.weights_version import weights_version
from llmrec_core.profiling.counts import shape_of, whole_flops
from llmrec_core.scoring.embeddings import TextEncoder, catalogue_embeddings, embed_texts
from llmrec_core.scoring.towers import (
    ENCODED_TOGETHER,
    FrozenTowers,
    Tables,
    Towers,
    encode,
)
from llmrec_core.training.checkpoints import read_folder, write_folder
from llmrec_core.training.contrast import (
    ContrastBatch,
    ContrastOptions,
    ContrastSampler,
    contrast_loss,
)
from llmrec_core.training.loop import TrainingResult, train
from llmrec_core.training.validation import validator

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.settings import Settings


class TowerTraining:
    """The model of two towers, before, during and after its training."""

    def __init__(
        self,
        spec: RunSpec,
        options: Mapping[str, float],
        dataset: Dataset,
        settings: Settings,
        *,
        keep: bool = True,
    ) -> None:
        """Hold what the model is made from; it is made when it is first needed.

        Args:
            spec: the run's.
            options: of the family, all of them.
            dataset: whose texts are read.
            settings: where backbones and kept vectors stand.
            keep: whether untrained vectors are kept on disk; not those of damaged titles.
        """
        self.spec, self.options, self.settings, self.keep = spec, options, settings, keep
        self.texts = item_texts(dataset, relations=spec.recommender.relations)
        self.device = pick_device(spec.device)
        self.encoded_s: float | None = None
        """Seconds in which the catalogue was last encoded; None when its vectors were on disk."""
        self._tables: tuple[tuple[object, ...], Tables] | None = None

    @property
    def trainable(self) -> int:
        """Numbers that training changes."""
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)

    @cached_property
    def backbone(self) -> Backbone:
        """The language model.

        Raises:
            CheckpointError: when it is no longer the one that the spec was queued for.
        """
        chosen = self.spec.recommender
        backbone = load_backbone(
            chosen.backbone, self.settings, depth=chosen.depth, identity=chosen.backbone_hash
        )
        require_same(chosen.backbone, chosen.backbone_hash, backbone.identity, self.spec.name)
        return backbone

    @cached_property
    def untrained(self) -> np.ndarray:
        """Text vectors of the catalogue before training, float32, shape (items, E)."""
        chosen = self.spec.recommender
        if not self.keep:
            read_anew: np.ndarray = embed_texts(self.backbone, self.texts, unit=True)
            return read_anew
        identity = identity_of(chosen.backbone, self.settings)
        require_same(chosen.backbone, chosen.backbone_hash, identity, self.spec.name)
        began, read = time.perf_counter(), []
        vectors = catalogue_embeddings(
            chosen.backbone,
            self.texts,
            self.settings,
            depth=chosen.depth,
            identity=identity,
            unit=True,
            progress=lambda done, total: read.append(done),
        )
        self.encoded_s = time.perf_counter() - began if read else None
        return vectors

    @cached_property
    def model(self) -> FrozenTowers | Towers:
        """The towers, ready to be trained."""
        chosen, temperature = self.spec.recommender, self.options["temperature"]
        if chosen.adaptation == "head":
            frozen: FrozenTowers = FrozenTowers(self.untrained, temperature).to(self.device)
            return frozen
        torch.manual_seed(self.spec.seed)
        width = self.untrained.shape[1]
        towers = Towers(self.backbone, self.texts, width, temperature)
        set_trainable(
            towers,
            chosen.adaptation,
            freeze_layers=chosen.freeze_layers,
            rank=chosen.lora_rank,
            alpha=chosen.lora_alpha,
        )
        towers.to(self.device)
        return towers

    def untrained_tables(self) -> Tables:
        """Vectors of the catalogue before training."""
        frozen = FrozenTowers(self.untrained, self.options["temperature"])
        tables: Tables = encode(frozen, len(self.texts))
        return tables

    def tables(self) -> Tables:
        """Vectors of the catalogue; they are made anew when a weight has changed."""
        version = weights_version(self.model)
        if self._tables is None or self._tables[0] != version:
            was_training = self.model.training
            self.model.eval()
            began = time.perf_counter()
            tables = encode(self.model, len(self.texts))
            if isinstance(self.model, Towers):
                self.encoded_s = time.perf_counter() - began
            self.model.train(was_training)
            self._tables = version, tables
        return self._tables[1]

    def run(self, split: Split, context: RunContext, score: Score) -> TrainingResult:
        """Train the towers.

        Args:
            split: only its training sequences are learned from; its validation chooses weights.
            context: the run's side of the ledger.
            score: scores with the vectors that the towers make now.
        """
        training, options = self.spec.training, self._contrast()
        sampler = ContrastSampler(split, options, self.spec.seed, self.untrained)
        popularity = torch.from_numpy(np.log1p(split.item_counts).astype(np.float32))
        if isinstance(self.model, Towers):
            self.backbone.stack.set_dropout(training.dropout)

        @lru_cache(maxsize=training.accumulate)
        def batch(number: int) -> ContrastBatch:
            return sampler.draw(number, training.batch_histories)

        def loss_at(number: int) -> Tensor:
            self._tables = None  # torch does not count the changes that a fused optimiser makes
            drawn = batch(number)
            asks, answers = self.model(drawn.pool)
            counted = popularity[torch.from_numpy(drawn.pool)].to(self.device)
            return contrast_loss(asks, answers, counted, drawn, options)

        return train(
            self.model,
            loss_at,
            training,
            context,
            seed=self.spec.seed,
            weight_at=lambda number: float(batch(number).real.sum()),
            validate=validator(split, score, self.spec),
        )

    def _contrast(self) -> ContrastOptions:
        options = self.options
        return ContrastOptions(
            window=min(int(options["window"]), self.spec.recommender.history_items),
            decay=options["decay"],
            ahead=int(options["ahead"]),
            negatives=int(options["uniform"]),
            mined=int(options["mined"]),
            popularity=options["popularity"],
            correction=options["correction"],
        )

    def catalogue(self) -> dict[str, float | int | None]:
        """What encoding the catalogue takes: items, tokens, FLOPs by formula, seconds if known."""
        encoder = TextEncoder(self.backbone, self.texts, unit=True)
        shape = shape_of(self.backbone.stack.config)
        shape = replace(shape, layers=len(self.backbone.stack.blocks))
        width = self.untrained.shape[1]
        flops = 4.0 * len(self.texts) * width**2
        for start in range(0, len(self.texts), ENCODED_TOGETHER):
            places = np.arange(start, min(start + ENCODED_TOGETHER, len(self.texts)))
            for some in encoder.passes(places):
                flops += whole_flops(shape, len(some), encoder.lengths[some].max())
        return {
            "items": len(self.texts),
            "tokens": int(encoder.lengths.sum()),
            "flops": float(flops),
            "seconds": self.encoded_s,
        }

    def _trained_weights(self) -> dict[str, Tensor]:
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def save(self, folder: Path) -> None:
        """Write the trained weights alone, and which backbone they belong to."""
        identity = identity_of(self.spec.recommender.backbone, self.settings)
        write_folder(folder, {"weights": self._trained_weights()}, {"backbone_identity": identity})

    def load(self, folder: Path) -> None:
        """Take the weights that `save` wrote.

        Raises:
            CheckpointError: when they are damaged or belong to another backbone.
        """
        tensors, state = read_folder(folder)
        chosen = self.spec.recommender
        identity = identity_of(chosen.backbone, self.settings)
        require_same(chosen.backbone, state["backbone_identity"], identity, self.spec.name)
        self._take(tensors["weights"])

    def copy(self, other: TowerTraining) -> None:
        """Take the weights of another model of the same shape."""
        self._take(other._trained_weights())

    def _take(self, weights: Mapping[str, Tensor]) -> None:
        own = self._trained_weights()
        with torch.no_grad():
            for name, value in weights.items():
                own[name].copy_(value)
