"""How much faster is a training step that reads each history once? Ours against Hugging Face `Trainer`, in one process.

    python tests/benchmarks/training.py [--quick] [--json]

One group is a history (211 tokens), one positive and 15 negatives (12 tokens each), listwise loss. A step is four groups of
MiniLM-L6 (all weights trained) or two groups of SmolLM2-135M (LoRA on the attention projections, rank 8); both sides see the
same examples and update by fused AdamW, dropout off. The peer is a plain model on whole pairs: for MiniLM an ordinary encoder
(no mask is needed for pairs of one length), with groups per device batch chosen as its fastest. The first-batch losses are
compared on the same weights, MiniLM's pairs with the mask of mode `shared` (history tokens do not look at the candidate).
The last line is JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from torch import nn

from llmrec_core.models.backbones import load_backbone
from llmrec_core.models.scorer_model import ScorerModel, set_trainable
from llmrec_core.profiling.allocator import keep_freed_memory
from llmrec_core.settings import load_settings
from llmrec_core.training.objectives import listwise
from tests.benchmarks.speed import (
    HISTORY_ITEMS,
    Clock,
    decoder_layout,
    encoder_layout,
    option_parser,
)

HISTORY, CANDIDATE, OFFERED = 211, 12, 16
CODES = list(range(HISTORY_ITEMS))
ADAPTATION = {"minilm-l6": "full", "smollm2-135m": "lora"}
GROUPS = {"minilm-l6": 4, "smollm2-135m": 2}


def built(name: str) -> ScorerModel:
    backbone = load_backbone(name, load_settings())
    layout = (decoder_layout if backbone.decoder else encoder_layout)(
        backbone, HISTORY, CANDIDATE, 64
    )
    torch.manual_seed(0)
    model = ScorerModel(backbone, layout, head="linear")
    set_trainable(model, ADAPTATION[name])
    return model.train()


class PlainPairs(nn.Module):
    """The peer's model: the Hugging Face backbone on whole pairs, groups × 16 rows, listwise loss."""

    def __init__(self, model: ScorerModel) -> None:
        super().__init__()
        self.base, self.head = model.backbone.stack.base, model.head
        self.first = HISTORY if not model.backbone.decoder else None

    def forward(
        self, input_ids: torch.Tensor, mask: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        rows = input_ids.flatten(0, 1)
        options: dict[str, Any] = {"attention_mask": mask}
        if self.first is not None:
            kinds = torch.zeros_like(rows)
            kinds[:, self.first :] = 1
            options["token_type_ids"] = kinds
        else:
            options["use_cache"] = False
        # both modes are read where `ScorerModel` reads: an encoder at the candidate's first token, a decoder at its last
        place = self.first if self.first is not None else -1
        states = self.base(input_ids=rows, **options).last_hidden_state[:, place]
        scores = self.head(states).view(input_ids.shape[:2])
        return {"loss": listwise(scores), "scores": scores}


def examples(model: ScorerModel, groups: int) -> tuple[np.ndarray, list[dict[str, torch.Tensor]]]:
    """Item codes (groups, 16), and the same groups as rows of whole pairs."""
    items = np.arange(groups * OFFERED).reshape(groups, OFFERED)
    history = model.layout.history(CODES)
    return items, [
        {"input_ids": torch.tensor([history + model.layout.candidates[i] for i in group])}
        for group in items
    ]


class Repeated(torch.utils.data.Dataset):
    """The groups of one step, again and again."""

    def __init__(self, groups: list[dict[str, torch.Tensor]], steps: int) -> None:
        self.groups, self.steps = groups, steps

    def __len__(self) -> int:
        return len(self.groups) * self.steps

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        return self.groups[number % len(self.groups)]


def trainer_seconds(
    now: Callable[[], float],
    model: nn.Module,
    groups: list[dict[str, torch.Tensor]],
    per_batch: int,
    steps: int,
) -> list[float]:
    """Seconds of each optimiser step inside `Trainer.train`, the first one left out when there are more."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Stopwatch(TrainerCallback):
        times: list[float] = []  # noqa: RUF012 - one trainer, one list

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.start = now()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.times.append(now() - self.start)

    watch = Stopwatch()
    watch.times = []
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, max_steps=steps, per_device_train_batch_size=per_batch, gradient_accumulation_steps=len(groups) // per_batch,
            learning_rate=1e-5, lr_scheduler_type="constant", optim="adamw_torch_fused", save_strategy="no", report_to=[],
            logging_strategy="no", disable_tqdm=True, use_cpu=not torch.cuda.is_available(), remove_unused_columns=False,
            dataloader_drop_last=True, max_grad_norm=1.0,
        )  # fmt: skip
        Trainer(model, arguments, train_dataset=Repeated(groups, steps), callbacks=[watch]).train()
    return watch.times[1:] or watch.times


def compare(name: str, clock: Clock, quick: bool) -> tuple[float, float]:
    """(ratio, difference of the first loss)."""
    count = GROUPS[name]
    ours, theirs = built(name), built(name)
    items, groups = examples(ours, count)
    histories = [ours.layout.history(CODES)] * count
    plain = PlainPairs(theirs)
    tokens = torch.stack([g["input_ids"] for g in groups])
    mask = None
    if not ours.backbone.decoder:
        whole = HISTORY + CANDIDATE
        mask = torch.ones(1, 1, whole, whole, dtype=torch.bool)
        mask[..., :HISTORY, HISTORY:] = False
        mask = mask.expand(OFFERED, -1, -1, -1)
    with torch.no_grad():
        first = float(listwise(ours(histories, items)))
        other = float(
            np.mean([float(plain(tokens[n : n + 1], mask)["loss"]) for n in range(count)])
        )
    optimizer = torch.optim.AdamW(
        [p for p in ours.parameters() if p.requires_grad], lr=1e-5, fused=True
    )
    trained = [p for p in ours.parameters() if p.requires_grad]

    def step() -> None:
        listwise(ours(histories, items)).backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    step()
    steps = 3 if name == "minilm-l6" or not quick else 1
    batches = [1] if quick else [size for size in (1, 2, 4) if count % size == 0]
    for _ in range(1 if quick else 2):
        for batch in batches:
            clock.rounds({f"{name} ours": step}, 3 if quick else 5)
            clock.seconds.setdefault(f"{name} Trainer, {batch} groups a batch", []).extend(
                trainer_seconds(clock.now, plain, groups, batch, steps)
            )
            clock.rounds({f"{name} ours": step}, 2)
    peer = min(clock.fastest(key) for key in clock.seconds if key.startswith(f"{name} Trainer"))
    return peer / clock.fastest(f"{name} ours"), abs(first - other)


def main() -> None:
    parser = option_parser(__doc__)
    parser.add_argument("--only", choices=list(GROUPS), help="one backbone")
    arguments = parser.parse_args()
    keep_freed_memory()
    clock, results = Clock(arguments.one_thread), {}
    for name, key in (("minilm-l6", "minilm_vs_trainer"), ("smollm2-135m", "smollm2_vs_trainer")):
        if arguments.only in (None, name):
            ratio, difference = compare(name, clock, arguments.quick)
            results |= {
                key: ratio,
                "first_batch_loss_diff": max(difference, results.get("first_batch_loss_diff", 0.0)),
            }
            if not arguments.json:
                print(
                    f"{name}: {ratio:.2f} x Trainer, first losses differ by {difference:.1e}",
                    flush=True,
                )
    conditions = clock.conditions(
        quick=arguments.quick,
        history_tokens=HISTORY,
        candidate_tokens=CANDIDATE,
        offered=OFFERED,
        groups=GROUPS,
        adaptation=ADAPTATION,
    )
    print(json.dumps({"bench": "training", "conditions": conditions, "results": results}))


if __name__ == "__main__":
    main()
