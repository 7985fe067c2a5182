"""What the speed programs share: requests of an exact size, interleaved clocks, and the conditions they ran under."""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import psutil
import torch

from llmrec_core.models.backbones import Backbone
from llmrec_core.models.prompt_layout import PromptLayout
from llmrec_core.profiling import device
from llmrec_core.profiling.peaks import GEMM
from llmrec_core.profiling.timing import FOREIGN_LIMIT

HISTORY_ITEMS = 10


class Clock:
    """Runs rivals in turn, so that whatever else the machine does hits all of them, and keeps each one's seconds.

    With `one_thread` it counts CPU seconds of a single thread instead of wall seconds: the work itself, also on a machine
    that others are using.
    """

    def __init__(self, one_thread: bool = False) -> None:
        self.seconds: dict[str, list[float]] = {}
        self.peak_flops_per_s = 0.0
        self.one_thread = one_thread
        self.now = time.process_time if one_thread else time.perf_counter
        if one_thread:
            torch.set_num_threads(1)
        self._began, self._busy, self._own = time.perf_counter(), *_cpu_seconds()

    def rounds(self, rivals: dict[str, Callable[[], Any]], count: int) -> None:
        """`count` rounds; the machine's own speed is measured in each."""
        a = torch.randn(GEMM, GEMM)
        for _ in range(count):
            for _ in range(15):
                start = self.now()
                torch.mm(a, a)
                self.peak_flops_per_s = max(
                    self.peak_flops_per_s, 2 * GEMM**3 / (self.now() - start)
                )
            for name, call in rivals.items():
                start = self.now()
                call()
                self.seconds.setdefault(name, []).append(self.now() - start)

    def fastest(self, name: str) -> float:
        """Seconds of the fastest repetition: the one that others disturbed least."""
        return min(self.seconds[name])

    def foreign_load(self) -> float:
        """Share of the machine that other processes used since this clock was made."""
        busy, own = _cpu_seconds()
        wall = time.perf_counter() - self._began
        return max(0.0, (busy - self._busy) - (own - self._own)) / (
            wall * (psutil.cpu_count() or 1)
        )

    def conditions(self, **more: Any) -> dict[str, Any]:
        """Machine, versions, repetitions and what else ran."""
        found = device.describe()
        names = ("torch", "transformers", "sentence-transformers", "peft")
        return {
            "device": found.name,
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "python": platform.python_version(),
            **{name: version(name) for name in names},
            "gemm_peak_gflops": round(self.peak_flops_per_s / 1e9, 1),
            "foreign_load": round(self.foreign_load(), 3),
            "noisy": self.foreign_load() > FOREIGN_LIMIT,
            "clock": "CPU seconds of one thread" if self.one_thread else "wall seconds",
            "statistic": "fastest of interleaved repetitions",
            "repetitions": {name: len(values) for name, values in self.seconds.items()},
            "seconds": {name: round(self.fastest(name), 4) for name in self.seconds},
        } | more


def _cpu_seconds() -> tuple[float, float]:
    total, own = psutil.cpu_times(), os.times()
    return (
        total.user + total.system + total.nice,
        own.user + own.system + own.children_user + own.children_system,
    )


def option_parser(description: str | None) -> argparse.ArgumentParser:
    """The options of every benchmark of speed; each adds its own.

    Args:
        description: the program's docstring.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON line")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="fewer repetitions, at most three minutes on two idle cores",
    )
    parser.add_argument(
        "--one-thread", action="store_true", help="CPU seconds of one thread: for a machine in use"
    )
    return parser


def single_token_words(tokenizer: Any) -> list[str]:
    """Lower-case words of the vocabulary that are one token each."""
    words = [
        w
        for w in tokenizer.get_vocab()
        if w.isascii() and w.isalpha() and w.islower() and 3 <= len(w) <= 8
    ]
    ids = tokenizer(words, add_special_tokens=False)["input_ids"]
    return sorted(word for word, row in zip(words, ids, strict=True) if len(row) == 1)


def encoder_texts(
    tokenizer: Any, history_tokens: int, candidate_tokens: int, candidates: int
) -> tuple[list[str], list[str]]:
    """Ten history titles and many candidate titles whose prompt has exactly these tokens, special ones included."""
    rng = np.random.default_rng(0)
    words = single_token_words(tokenizer)
    inside = history_tokens - 2 - HISTORY_ITEMS  # [CLS], [SEP] and a ";" after each title
    sizes = [
        inside // HISTORY_ITEMS + (number < inside % HISTORY_ITEMS)
        for number in range(HISTORY_ITEMS)
    ]
    histories = [" ".join(rng.choice(words, size)) for size in sizes]
    return histories, [" ".join(rng.choice(words, candidate_tokens - 1)) for _ in range(candidates)]


def encoder_layout(
    backbone: Backbone, history_tokens: int, candidate_tokens: int, candidates: int
) -> PromptLayout:
    """A layout whose items 0 … 9 are the history and whose candidate n is item n."""
    histories, offered = encoder_texts(
        backbone.tokenizer, history_tokens, candidate_tokens, candidates
    )
    padding = ["a"] * (candidates - HISTORY_ITEMS)
    layout = PromptLayout(
        backbone.tokenizer,
        decoder=False,
        history_texts=histories + padding,
        candidate_texts=offered,
        history_items=HISTORY_ITEMS,
        max_tokens=backbone.stack.max_tokens,
    )
    assert len(layout.history(range(HISTORY_ITEMS))) == history_tokens, (
        "a word was more than one token"
    )
    assert set(layout.candidate_lengths) == {candidate_tokens}, "a word was more than one token"
    return layout


def decoder_layout(
    backbone: Backbone, history_tokens: int, candidate_tokens: int, candidates: int
) -> PromptLayout:
    """The same with drawn token ids between the template's own."""
    rng = np.random.default_rng(0)
    layout = PromptLayout(
        backbone.tokenizer,
        decoder=True,
        history_texts=["a"] * candidates,
        candidate_texts=["a"] * candidates,
        history_items=HISTORY_ITEMS,
        max_tokens=backbone.stack.max_tokens,
    )
    ending = backbone.tokenizer("\nAnswer:", add_special_tokens=False)["input_ids"]
    inside = history_tokens - len(layout.opening) - len(layout.closing)

    def drawn(size: int) -> list[int]:
        return [
            int(token)
            for token in rng.integers(1000, backbone.stack.config.vocab_size - 1000, size)
        ]

    layout.pieces = [
        drawn(inside // HISTORY_ITEMS + (n < inside % HISTORY_ITEMS)) for n in range(candidates)
    ]
    layout.candidates = [drawn(candidate_tokens - len(ending)) + ending for _ in range(candidates)]
    layout.candidate_lengths = np.full(candidates, candidate_tokens)
    layout.longest_candidate = candidate_tokens
    assert len(layout.history(range(HISTORY_ITEMS))) == history_tokens, "the pieces do not add up"
    return layout
