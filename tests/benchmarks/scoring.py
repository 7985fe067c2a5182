"""How much faster is reading the history once? Our scorer against the usual ways, in one process, on the same weights.

    python tests/benchmarks/scoring.py [--quick] [--json]

MiniLM-L6 (211 history + 12 candidate tokens) stands against `sentence_transformers.CrossEncoder.predict`, SmolLM2-135M
(211 + 14) against plain transformers batches with the logits of the last position only; so does Gemma-3-270M, only when
it is asked for (`--only gemma3`), as it comes under terms of its own. Of both decoders, scores of 20 prompts that are
drawn from ml-100k's titles are compared with each pair read alone by transformers; the longest reach beyond
Gemma's window of 512 tokens. Modes: `full` reads every pair alone and must equal CrossEncoder's scores; `shared` reads
the history once. Every ratio is the peer's fastest time over ours; MFU divides the FLOPs of the formula by our time and
by the fastest matrix product seen meanwhile. Titles are tokenised once per catalogue by us and in every call by
CrossEncoder (under 1 % of its time). The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch

from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.metrics.evaluate import evaluate
from llmrec_core.metrics.exam import Exam
from llmrec_core.metrics.intervals import gate
from llmrec_core.models.backbones import Backbone, load_backbone
from llmrec_core.models.gguf_folder import converted
from llmrec_core.models.label_words import label_tokens
from llmrec_core.models.model_folder import locate
from llmrec_core.models.precision import apply_precision
from llmrec_core.models.prompt_layout import PromptLayout
from llmrec_core.models.scorer_model import ScorerModel
from llmrec_core.profiling import counts
from llmrec_core.profiling.allocator import keep_freed_memory
from llmrec_core.recommenders.language_model import LanguageModelRecommender
from llmrec_core.scoring.scorer import Scorer
from llmrec_core.settings import load_settings
from tests.benchmarks.speed import (
    HISTORY_ITEMS,
    Clock,
    decoder_layout,
    encoder_layout,
    encoder_texts,
    option_parser,
)

HISTORY, CANDIDATE, DECODER_CANDIDATE = 211, 12, 14
HISTORY_CODES = list(range(HISTORY_ITEMS))
MANY = 10_000
PEER_BATCHES = (16, 32, 64)
PROMPTS, PROMPT_ITEMS, OFFERED = 20, (10, 60), 3
"""Prompts of real titles, the items of their histories in turn, and candidates of each."""


def minilm_scorer(
    *, mode: str = "shared", head: str = "linear", candidates: int = 1000, precision: str = "fp32"
) -> Scorer:
    backbone = load_backbone("minilm-l6", load_settings())
    layout = encoder_layout(backbone, HISTORY, CANDIDATE, candidates)
    torch.manual_seed(0)
    model = ScorerModel(backbone, layout, head=head, history_attention=mode)
    apply_precision(model, precision)
    return Scorer(model)


def request(scorer: Scorer, count: int) -> np.ndarray:
    """One user seen for the first time: no remembered history."""
    scorer.weights_changed()
    return scorer.scores(HISTORY_CODES, np.arange(count))


def minilm(clock: Clock, quick: bool) -> dict[str, float]:
    from sentence_transformers import CrossEncoder

    folder = str(locate("minilm-l6", load_settings()))
    torch.manual_seed(0)
    peer = CrossEncoder(folder, num_labels=1, device="cpu", activation_fn=torch.nn.Identity())
    shared, small = minilm_scorer(), minilm_scorer(precision="int8-dynamic")
    full = minilm_scorer(mode="full", head="pooler")
    with torch.no_grad():
        full.model.head.dense.load_state_dict(peer.model.bert.pooler.dense.state_dict())
        full.model.head.out.load_state_dict(peer.model.classifier.state_dict())
    histories, offered = encoder_texts(peer.tokenizer, HISTORY, CANDIDATE, 1000)
    pairs = [("".join(f"{title}; " for title in histories), text) for text in offered]

    def predict(count: int, batch: int) -> np.ndarray:
        return peer.predict(pairs[:count], batch_size=batch, show_progress_bar=False)

    difference = float(np.abs(predict(32, 32) - request(full, 32)).max())
    batch = 32
    if not quick:
        trial = Clock(clock.one_thread)
        trial.rounds({str(size): lambda size=size: predict(64, size) for size in PEER_BATCHES}, 2)
        batch = min(PEER_BATCHES, key=lambda size: trial.fastest(str(size)))
    for scorer in (shared, small, full):
        request(scorer, 10)
    ours = {
        "minilm shared 100": lambda: request(shared, 100),
        "minilm int8 100": lambda: request(small, 100),
    }
    slow = {
        f"CrossEncoder 100, batches of {batch}": lambda: predict(100, batch),
        "minilm full 100": lambda: request(full, 100),
    }
    for _ in range(2 if quick else 5):
        clock.rounds(ours, 4)
        clock.rounds(slow, 1)
    clock.rounds({"minilm shared 1000": lambda: request(shared, 1000)}, 4)
    clock.rounds(
        {f"CrossEncoder 1000, batches of {batch}": lambda: predict(1000, batch)}, 1 if quick else 3
    )
    clock.rounds(ours, 4)
    shape = counts.shape_of(shared.model.backbone.stack.config)
    flops = counts.shared_flops(shape, HISTORY, 100, CANDIDATE)
    best = clock.fastest
    peer_100 = best(f"CrossEncoder 100, batches of {batch}")
    return {
        "minilm_shared_vs_crossencoder_100": peer_100 / best("minilm shared 100"),
        "minilm_shared_vs_crossencoder_1000": best(f"CrossEncoder 1000, batches of {batch}")
        / best("minilm shared 1000"),
        "minilm_full_vs_crossencoder_100": peer_100 / best("minilm full 100"),
        "minilm_full_max_abs_diff": difference,
        "mfu_minilm": flops / best("minilm shared 100") / clock.peak_flops_per_s,
        "int8_vs_fp32_100": best("minilm shared 100") / best("minilm int8 100"),
        "int8_vs_crossencoder_100": peer_100 / best("minilm int8 100"),
        "linear_r2": linear_r2(clock, shared, quick),
    }


def linear_r2(clock: Clock, scorer: Scorer, quick: bool) -> float:
    """R² of a straight line through (candidates, fastest seconds)."""
    sizes = (10, 30, 100, 300, 600, 1000)
    seconds = []
    for size in sizes:
        times = []
        for _ in range(3 if quick else 7):
            start = clock.now()
            request(scorer, size)
            times.append(clock.now() - start)
        seconds.append(min(times))
    return float(np.corrcoef(sizes, seconds)[0, 1] ** 2)


def decoder(clock: Clock, quick: bool, backbone_name: str) -> dict[str, float]:
    """A causal language model against transformers; the figures are named by its family."""
    from transformers import AutoModelForCausalLM

    settings, short = load_settings(), backbone_name.partition("-")[0]
    backbone = load_backbone(backbone_name, settings)
    layout = decoder_layout(backbone, HISTORY, DECODER_CANDIDATE, 100)
    scorer = Scorer(ScorerModel(backbone, layout, head="yes-no"))
    peer = AutoModelForCausalLM.from_pretrained(
        str(converted(locate(backbone_name, settings))), dtype=torch.float32
    ).eval()
    yes, no = (
        backbone.tokenizer.encode(word, add_special_tokens=False)[0] for word in (" Yes", " No")
    )
    history = layout.history(HISTORY_CODES)
    rows = torch.tensor([history + candidate for candidate in layout.candidates])

    @torch.inference_mode()
    def plain(batch: int, count: int = 100) -> np.ndarray:
        scores = []
        for part in rows[:count].split(batch):
            logits = peer(input_ids=part, use_cache=False, logits_to_keep=1).logits[:, -1]
            scores.append(logits[:, yes] - logits[:, no])
        return torch.cat(scores).numpy()

    batch = 16
    if not quick:
        trial = Clock(clock.one_thread)
        trial.rounds({str(size): lambda size=size: plain(size, 32) for size in (8, 16, 32)}, 1)
        batch = min((8, 16, 32), key=lambda size: trial.fastest(str(size)))
    request(scorer, 10)
    answers: dict[str, np.ndarray] = {}
    name = f"transformers 100, batches of {batch}"
    own = f"{short} shared 100"
    ours = {own: lambda: answers.update(ours=request(scorer, 100))}
    clock.rounds(ours, 2)
    for _ in range(1 if quick else 3):
        clock.rounds({name: lambda: answers.update(peer=plain(batch))}, 1)
        clock.rounds(ours, 2)
    flops = counts.shared_flops(
        counts.shape_of(backbone.stack.config), HISTORY, 100, DECODER_CANDIDATE
    )
    return {
        f"{short}_vs_transformers_100": clock.fastest(name) / clock.fastest(own),
        f"{short}_max_abs_diff": float(np.abs(answers["ours"] - answers["peer"]).max()),
        f"mfu_{short}": flops / clock.fastest(own) / clock.peak_flops_per_s,
    } | prompts_apart(backbone, peer, short)


@torch.inference_mode()
def prompts_apart(backbone: Backbone, peer: Any, short: str) -> dict[str, float]:
    """How far packed scores are from transformers' own on 20 people's prompts of real titles."""
    dataset = load_dataset("ml-100k", load_settings())
    titles = dataset.items["title"].tolist()
    layout = PromptLayout(
        backbone.tokenizer,
        decoder=True,
        history_texts=titles,
        candidate_texts=titles,
        history_items=max(PROMPT_ITEMS),
        max_tokens=backbone.stack.max_tokens,
    )
    scorer = Scorer(ScorerModel(backbone, layout, head="yes-no"))
    yes, no = label_tokens(backbone.tokenizer, "\nAnswer:", (" Yes", " No"))
    rng, worst, spread, lengths = np.random.default_rng(0), 0.0, [], []
    for number in range(PROMPTS):
        items = rng.choice(len(titles), PROMPT_ITEMS[number % 2] + OFFERED, replace=False)
        past, offered = items[OFFERED:], items[:OFFERED]
        packed = scorer.scores(past.tolist(), offered)
        shared = layout.history(past)
        for score, item in zip(packed, offered, strict=True):
            tokens = torch.tensor([shared + layout.candidates[item]])
            logits = peer(input_ids=tokens, use_cache=False, logits_to_keep=1).logits[0, -1]
            alone = float(logits[yes] - logits[no])
            worst = max(worst, abs(float(score) - alone))
            spread.append(alone)
            lengths.append(tokens.shape[1])
    return {
        f"{short}_prompts": PROMPTS,
        f"{short}_prompt_tokens_longest": max(lengths),
        f"{short}_prompts_max_abs_diff": worst,
        f"{short}_prompts_score_sd": float(np.std(spread)),
    }


def int8_quality(quick: bool) -> dict[str, Any]:
    """NDCG@10 of int8 over fp32 for one fine-tuned MiniLM (6 layers; 2 with `quick`) on ml-100k, leave-one-out."""
    settings = load_settings()
    depth, steps = (2, 60) if quick else (6, 160)
    reader = {
        "family": "cross-encoder", "backbone": "minilm-l6", "depth": depth, "head": "attention", "adaptation": "full"
    }  # fmt: skip
    training = {
        "learning_rate": 5e-4,
        "steps": steps,
        "warmup_steps": 10,
        "validate_every": 1000,
        "validation_users": 2,
    }
    spec = run_from_dict({"recommender": reader, "training": training})
    protocol = ProtocolSpec(users=200 if quick else 0)
    dataset = load_dataset("ml-100k", settings)
    exam = Exam.of(dataset, protocol)
    made = LanguageModelRecommender(spec, dataset, settings)
    with tempfile.TemporaryDirectory() as folder:
        made.fit(exam.split, RunContext(Path(folder)))
    values = {}
    for precision in ("fp32", "int8-dynamic"):
        made.ready(precision)
        _, samples = evaluate(
            made.score, exam.split, exam.cases, exam.candidates, protocol.name, protocol.k
        )
        values[precision] = np.array(next(s.values for s in samples if s.name == "ndcg@10"))
    found = gate(values["fp32"], values["int8-dynamic"])
    return {
        "int8_ndcg_ratio": found.ratio,
        "int8_ndcg_ratio_low": found.low,
        "int8_ndcg_ratio_high": found.high,
        "int8_ndcg_fp32": float(values["fp32"].mean()),
        "int8_ndcg_users": len(exam.cases),
        "int8_ndcg_layers": depth,
    }


def memory() -> dict[str, float]:
    """Peak resident bytes at 10,000 candidates over that at 1,000, in a process of its own."""
    run = subprocess.run(
        [sys.executable, __file__, "--memory"], capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout.splitlines()[-1])


def measure_memory() -> None:
    keep_freed_memory()
    scorer = minilm_scorer(candidates=MANY)
    found = []
    for count in (1000, MANY):
        request(scorer, count)
        found.append(peak_bytes())
    print(json.dumps({"memory_10000_vs_1000": found[1] / found[0], "memory_10000_bytes": found[1]}))


def peak_bytes() -> int:
    """Largest resident memory of this process so far. (`ru_maxrss` would begin with what the parent held at the fork.)"""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(
        next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    )


def main() -> None:
    parser = option_parser(__doc__)
    parser.add_argument(
        "--only", choices=["minilm", "smollm2", "gemma3", "int8", "memory"], help="one part"
    )
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        measure_memory()
        return
    keep_freed_memory()
    clock, results = Clock(arguments.one_thread), {}
    parts = {
        "minilm": lambda: minilm(clock, arguments.quick),
        "smollm2": lambda: decoder(clock, arguments.quick, "smollm2-135m"),
        "gemma3": lambda: decoder(clock, arguments.quick, "gemma3-270m"),
        "memory": memory,
        "int8": lambda: int8_quality(arguments.quick),
    }
    for name, measure in parts.items():
        if arguments.only == name or (arguments.only is None and name != "gemma3"):
            results |= measure()
            if not arguments.json:
                print(f"{name}: {json.dumps(results)}", flush=True)
    conditions = clock.conditions(
        quick=arguments.quick,
        history_tokens=HISTORY,
        candidate_tokens=CANDIDATE,
        decoder_candidate_tokens=DECODER_CANDIDATE,
    )
    print(json.dumps({"bench": "scoring", "conditions": conditions, "results": results}))


if __name__ == "__main__":
    main()
