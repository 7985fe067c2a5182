"""Cross-encoders (BERT-type) and decoders (GPT-type) as recommenders: fine-tuned, packed, saved without pickles."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from llmrec_core.data.candidates import candidate_sets, sample_cases
from llmrec_core.data.text import item_texts
from llmrec_core.errors import CheckpointError, UsageError
from llmrec_core.experiments.spec import RunSpec, run_from_dict
from llmrec_core.models.backbones import load_backbone, set_dropout
from llmrec_core.models.devices import pick_device
from llmrec_core.models.precision import apply_precision
from llmrec_core.models.prompts import PromptLayout
from llmrec_core.models.runtimes import apply_runtime
from llmrec_core.models.scorer_model import ScorerModel, merge_lora, set_trainable
from llmrec_core.profiling import counts
from llmrec_core.profiling.probe import require
from llmrec_core.scoring.early_exit import EarlyExit, calibrate
from llmrec_core.scoring.scorer import Scorer
from llmrec_core.training.checkpoints import read_folder, write_folder
from llmrec_core.training.loop import train
from llmrec_core.training.objectives import OBJECTIVES
from llmrec_core.training.sampling import GroupSampler
from llmrec_core.training.validation import validator
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.experiments.context import RunContext
    from llmrec_core.settings import Settings

SEEDED_HEAD = 7
"""Added to the run's seed for the head's first weights."""
EXIT_USERS, EXIT_KEEP = 60, 0.99
"""Validation users that calibrate an early exit, and the share of them whose top k it must not change."""
FEW = 4
"""Up to so many candidates a history, several histories share a pass."""


class LanguageModelRecommender:
    """A backbone with a head that reads a history and a candidate together."""

    def __init__(self, spec: RunSpec, dataset: Dataset, settings: Settings) -> None:
        self.spec, self.dataset, self.settings = spec, dataset, settings
        chosen = spec.recommender
        backbone = load_backbone(chosen.backbone, settings, depth=chosen.depth)
        layout = PromptLayout(
            backbone.tokenizer,
            decoder=backbone.decoder,
            history_texts=item_texts(dataset, genres=False),
            candidate_texts=item_texts(dataset, genres=not backbone.decoder),
            history_items=chosen.history_items,
            max_tokens=backbone.stack.max_tokens,
        )
        torch.manual_seed(spec.seed + SEEDED_HEAD)
        self.model = ScorerModel(backbone, layout, head=chosen.head, history_attention=chosen.history_attention)
        self.model.to(pick_device(spec.device))
        self.parameters = sum(p.numel() for p in self.model.parameters())
        self.trainable = 0
        self.loaded = False
        """True once trained weights came from a folder: fitting again would change another run's model."""
        self.scorer = Scorer(self.model)
        self.speed_note = ""
        """What the probe of this precision and runtime said on this device."""

    @property
    def trained(self) -> bool:
        return self.spec.recommender.adaptation != "none"

    def fit(self, split: Split, context: RunContext) -> None:
        if self.trained and not self.loaded:
            self._train(split, context)
        if self.spec.recommender.options:
            self._calibrate_exit(split, context)

    def _train(self, split: Split, context: RunContext) -> None:
        chosen, training = self.spec.recommender, self.spec.training
        self._adapt()
        set_dropout(self.model.backbone.stack, training.dropout)
        self.model.checkpointing = training.activation_checkpointing
        sampler = GroupSampler(
            split,
            history_items=chosen.history_items,
            positives=training.positives,
            negatives=training.negatives,
            seed=self.spec.seed,
            popular=training.negative_sampling == "popular",
        )
        objective = OBJECTIVES[training.objective]

        def loss_at(micro_step: int) -> torch.Tensor:
            histories, items = sampler.batch(micro_step, training.batch_histories)
            scores = self.model([self.model.layout.history(h) for h in histories], items).float()
            return objective(scores, training.positives)

        def score(histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
            self.scorer.weights_changed()
            return self.score(histories, candidates)

        self.result = train(
            self.model, loss_at, training, context, seed=self.spec.seed, validate=validator(split, score, self.spec)
        )
        self.model.checkpointing = False
        self.scorer.weights_changed()

    def _calibrate_exit(self, split: Split, context: RunContext) -> None:
        """Options `exit_layer` and `exit_keep`: stop reading hopeless candidates early, calibrated on validation users."""
        options = self.spec.recommender.options
        if not set(options) <= {"exit_layer", "exit_keep"} or "exit_layer" not in options:
            raise UsageError(
                f"recommender.options has {', '.join(map(repr, options))}; a language model knows 'exit_layer' (needed) and 'exit_keep'"
            )
        protocol = self.spec.protocol
        cases = sample_cases(split.valid, EXIT_USERS, protocol.seed + 2)
        offered = candidate_sets(split, cases, "100-uniform", protocol.seed + 2)
        self.scorer.exit = calibrate(
            self.scorer,
            [[int(i) for i in case.history] for case in cases],
            offered,
            depth=int(options["exit_layer"]),
            k=protocol.k,
            keep=float(options.get("exit_keep", EXIT_KEEP)),
        )
        context.log(
            f"early exit after layer {self.scorer.exit.depth}: {self.scorer.exit.survivors:.0%} of the candidates read on"
        )

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
        """As `Recommender.score`; candidate -1 is padding and scores -inf."""
        if candidates.shape[1] <= FEW and len(histories) > 1 and (candidates >= 0).all():
            prompts = [self.model.layout.history([int(i) for i in history]) for history in histories]
            return self.scorer.score_batch(prompts, candidates.astype(np.int64))
        scores = np.full(candidates.shape, -np.inf, dtype=np.float32)
        for row, (history, items) in enumerate(zip(histories, candidates, strict=True)):
            real = items >= 0
            scores[row, real] = self.scorer.scores([int(i) for i in history], items[real].astype(np.int64))
        return scores

    def ready(self, precision: str = "fp32") -> None:
        """Make the model fit for serving: adapters merged, weights in `precision`, the spec's runtime.

        Raises:
            UnsupportedError: when this device has no such precision or runtime, with what was found or measured.
        """
        if self.spec.recommender.adaptation == "lora":
            merge_lora(self.model)
        runtime = self.spec.runtime
        if (precision, runtime) != ("fp32", "eager"):
            self.speed_note = require(precision, runtime, self.settings, self.model.device.type).reason
        apply_precision(self.model, precision)
        apply_runtime(self.model, runtime, precision)
        self.scorer.weights_changed()

    def save(self, folder: Path) -> None:
        """Trained weights alone (all of them for full fine-tuning, adapters and head for LoRA) and the spec.

        To be called before `ready`, which merges and quantises.
        """
        weights = {name: p for name, p in self.model.named_parameters() if p.requires_grad} if self.trained else {}
        state = {"spec": self.spec.to_dict(), "dataset": self.dataset.name, "content_hash": self.dataset.content_hash}
        if self.scorer.exit is not None:
            state["exit"] = self.scorer.exit.to_dict()
        write_folder(folder, {"weights": weights} if weights else {}, state)

    @classmethod
    def load(
        cls, folder: Path, dataset: Dataset, settings: Settings | None = None, *, variant: RunSpec | None = None
    ) -> LanguageModelRecommender:
        """The recommender saved in `folder`, to be made `ready`; with `variant`, in that spec's precision, runtime and options.

        Raises:
            CheckpointError: when the folder is damaged or was trained on another catalogue.
        """
        from llmrec_core.settings import load_settings

        tensors, state = read_folder(folder)
        if state["content_hash"] != dataset.content_hash:
            raise CheckpointError(
                f"{folder} was trained on {state['dataset']} with hash {state['content_hash'][:12]}, this data has "
                f"{dataset.content_hash[:12]}; load it with its own data version"
            )
        spec = run_from_dict(state["spec"])
        if variant is not None:
            spec = dataclasses.replace(
                spec,
                precision=variant.precision,
                runtime=variant.runtime,
                protocol=variant.protocol,
                recommender=dataclasses.replace(spec.recommender, options=variant.recommender.options),
            )
        made = cls(spec, dataset, settings or load_settings())
        made.loaded = True
        if "exit" in state and variant is None:
            made.scorer.exit = EarlyExit.from_dict(state["exit"])
        if made.trained:
            made._adapt()
            named = dict(made.model.named_parameters())
            with torch.no_grad():
                for name, value in tensors["weights"].items():
                    named[name].copy_(value)
        return made

    @classmethod
    def open(cls, folder: Path, settings: Settings) -> LanguageModelRecommender:
        """As `load`, with the data set found by the name stored in the folder."""
        from llmrec_core.data.dataset import load_dataset

        _, state = read_folder(folder)
        made = cls.load(folder, load_dataset(state["dataset"], settings), settings)
        made.ready(made.spec.precision)
        return made

    def describe(self, history_items: float, candidates: int) -> Description:
        stack, layout = self.model.backbone.stack, self.model.layout
        shape = counts.shape_of(stack.config)
        shape = dataclasses.replace(shape, layers=len(stack.blocks))
        piece = float(np.mean([len(p) for p in layout.pieces]))
        history_tokens = len(layout.opening) + len(layout.closing) + piece * min(history_items, layout.history_items)
        candidate_tokens = float(layout.candidate_lengths.mean())
        if self.model.history_attention == "full":
            flops = counts.full_flops(shape, history_tokens, candidates, candidate_tokens)
        else:
            one_row, reading = not self.model.head.all_tokens, float(candidates)
            flops = counts.history_flops(shape, history_tokens)
            if self.scorer.exit is not None:
                first = dataclasses.replace(shape, layers=self.scorer.exit.depth)
                flops += counts.candidates_flops(first, history_tokens, candidates, candidate_tokens)
                reading *= self.scorer.exit.survivors
            flops += counts.candidates_flops(shape, history_tokens, reading, candidate_tokens, one_row=one_row)
        notes: dict[str, Any] = {
            "backbone": self.model.backbone.provenance,
            "layers": len(stack.blocks),
            "history_tokens": round(history_tokens, 1),
            "candidate_tokens": round(candidate_tokens, 1),
        }
        if self.scorer.exit is not None:
            notes["early_exit"] = {
                "layer": self.scorer.exit.depth,
                "candidates_that_read_on": self.scorer.exit.survivors,
            }
        if self.speed_note:
            notes["speed"] = self.speed_note
        return Description(self.parameters, self.trainable, weight_bytes(self.model), flops, notes)


def weight_bytes(module: torch.nn.Module) -> int:
    """Bytes of all weights as held in memory, shared ones once, packed integer weights included."""
    seen: dict[int, int] = {}
    for tensor in (*module.parameters(), *module.buffers()):
        seen[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
    for part in module.modules():
        packed = getattr(part, "_packed_params", None)
        if packed is not None and hasattr(part, "weight") and callable(part.weight):
            weight = part.weight()
            bias = part.bias()
            seen[id(part)] = weight.numel() + 4 * weight.shape[0] * 2 + (4 * bias.numel() if bias is not None else 0)
    return sum(seen.values())
