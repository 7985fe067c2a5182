"""What does ordering 20 candidates cost in one prompt, one by one after a shared history, and as pairs read alone?

    python tests/benchmarks/listwise.py [--candidates 20] [--history 10] [--requests 20] [--quick] [--json]

One process, one SmolLM2-135M in fp32, the same people and candidates of ml-100k: head `letters` reads a request as one sequence, `yes-no`
packed reads the history once and each candidate after it, and `yes-no` in mode `full` reads every pair of history and candidate alone. Rounds
take turns in changing order; nothing is remembered between requests. Printed: median seconds of a request, FLOPs by formula, and the ratios of
the medians with the spread of the ratios by request. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch

from llmrec_core.contract.endpoint import LETTERS
from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.data.item_texts import item_texts
from llmrec_core.metrics.exam import Exam
from llmrec_core.models.backbones import load_backbone
from llmrec_core.models.list_layout import ListLayout
from llmrec_core.models.prompt_layout import PromptLayout
from llmrec_core.models.scorer_model import ScorerModel
from llmrec_core.profiling.allocator import keep_freed_memory
from llmrec_core.profiling.request_flops import list_flops, request_flops
from llmrec_core.running.execute import versions
from llmrec_core.scoring.list_scorer import ListRequest, ListScorer
from llmrec_core.scoring.scorer import Scorer
from llmrec_core.settings import load_settings

WAYS = ("letters", "packed yes/no", "pairs alone")


def measure(candidates: int, history: int, requests: int) -> dict[str, Any]:
    """Seconds and FLOPs of each way, and the ratios."""
    settings = load_settings()
    dataset = load_dataset("ml-100k", settings)
    protocol = ProtocolSpec(candidates=f"{candidates}-uniform", users=requests)
    exam = Exam.of(dataset, protocol)
    backbone = load_backbone("smollm2-135m", settings)
    titles = item_texts(dataset, genres=False)
    words = {
        "history_texts": titles,
        "candidate_texts": titles,
        "history_items": history,
        "max_tokens": backbone.stack.max_tokens,
    }
    pairs = PromptLayout(backbone.tokenizer, decoder=True, **words)
    lists = ListLayout(backbone.tokenizer, most=candidates, **words)
    letters = ListScorer(ScorerModel(backbone, lists, head="letters"))
    packed = Scorer(ScorerModel(backbone, pairs, head="yes-no"))
    alone = Scorer(ScorerModel(backbone, pairs, head="yes-no", history_attention="full"))

    def as_list(row: int) -> ListRequest:
        shown = lists.history(exam.histories[row])
        return ListRequest(shown, [lists.listed(exam.candidates[row])])

    asks: dict[str, Callable[[int], Any]] = {
        "letters": lambda row: letters.logits([as_list(row)]),
        "packed yes/no": lambda row: packed.scores(
            exam.histories[row].tolist(), exam.candidates[row]
        ),
        "pairs alone": lambda row: alone.scores(exam.histories[row].tolist(), exam.candidates[row]),
    }
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    rows = range(len(exam.histories))
    for way in WAYS:  # the first request of each is not counted
        asks[way](0)
    for row in rows:
        for way in np.roll(WAYS, row).tolist():
            for scorer in (letters, packed, alone):
                scorer.weights_changed()
            start = time.perf_counter()
            asks[way](row)
            seconds[way].append(time.perf_counter() - start)
    flops = {
        "letters": [list_flops(letters.model, as_list(row)) for row in rows],
        "packed yes/no": [
            request_flops(packed, pairs.history(exam.histories[row]), exam.candidates[row])
            for row in rows
        ],
        "pairs alone": [
            request_flops(alone, pairs.history(exam.histories[row]), exam.candidates[row])
            for row in rows
        ],
    }
    medians = {way: float(np.median(seconds[way])) for way in WAYS}
    of_packed = np.array(seconds["letters"]) / np.array(seconds["packed yes/no"])
    of_pairs = np.array(seconds["pairs alone"]) / np.array(seconds["letters"])
    return {
        "requests": len(rows),
        "candidates": candidates,
        "history_items": history,
        "tokens_of_a_list": float(np.mean([as_list(row).tokens for row in rows])),
        "seconds": medians,
        "flops": {way: float(np.mean(flops[way])) for way in WAYS},
        "letters_over_packed": medians["letters"] / medians["packed yes/no"],
        "letters_over_packed_quartiles": np.percentile(of_packed, (25, 75)).tolist(),
        "pairs_over_letters": medians["pairs alone"] / medians["letters"],
        "pairs_over_letters_quartiles": np.percentile(of_pairs, (25, 75)).tolist(),
        "threads": torch.get_num_threads(),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--candidates", type=int, default=20, help=f"2 to {len(LETTERS)}")
    parser.add_argument("--history", type=int, default=10, help="history items in a prompt")
    parser.add_argument("--requests", type=int, default=20, help="people asked about")
    parser.add_argument("--quick", action="store_true", help="four requests")
    parser.add_argument("--json", action="store_true", help="no table, the last line alone")
    given = parser.parse_args()
    if not 2 <= given.candidates <= len(LETTERS):
        parser.error(f"--candidates is {given.candidates}; expected 2 to {len(LETTERS)}")
    keep_freed_memory()
    found = measure(given.candidates, given.history, 4 if given.quick else given.requests)
    if not given.json:
        print(f"{'':<16}{'s a request':>14}{'GFLOP':>10}")
        for way in WAYS:
            print(f"{way:<16}{found['seconds'][way]:>14.3f}{found['flops'][way] / 1e9:>10.1f}")
        print(f"letters over packed {found['letters_over_packed']:.2f}")
        print(f"pairs over letters {found['pairs_over_letters']:.1f}")
    print(json.dumps({"benchmark": "listwise", "results": found, "versions": versions()}))


if __name__ == "__main__":
    main()
