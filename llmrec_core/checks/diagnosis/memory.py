"""Does a language model know a catalogue by heart? Titles completed from their first half.

A model that has read a public data set can name its items without having learned anything from the
people here, so that its figures are partly memory (Di Palma et al., SIGIR 2025, on MovieLens). Each
sampled title of at least four words is cut in the middle, behind three other titles of the
catalogue as examples; it counts as known when greedy decoding gives the rest word by word.
"""

from __future__ import annotations

import re
import time

import numpy as np
import torch

from llmrec_core.contract.steps import Progress, Step, unnoted
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.diagnosis import Figure, Memorised
from llmrec_core.data.text import fold
from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.metrics.intervals import share_interval
from llmrec_core.models.backbones import Backbone, load_backbone
from llmrec_core.settings import Settings
from llmrec_core.types import Columns

TITLES = 100
EXAMPLES = 3
WORDS = 4
"""A shorter title has too little to complete."""
LENGTH = 200
"""Characters of a title that are read."""


def memorised(
    dataset: Dataset,
    model: str,
    settings: Settings,
    titles: int = TITLES,
    *,
    progress: Progress = unnoted,
) -> Memorised:
    """The share of sampled titles that a model completes.

    Args:
        dataset: whose titles.
        model: a decoder: a backbone, a Hugging Face id or a folder.
        settings: where the backbones are.
        titles: how many are sampled.
        progress: called at each title.

    Raises:
        UnsupportedError: for an encoder, or when no title is long enough.
        UsageError: for an unknown model.
    """
    long = _long_titles(dataset)
    if not long:
        raise UnsupportedError(
            t("no title of {name!r} has {words} words or more", name=dataset.name, words=WORDS)
        )
    backbone = load_backbone(model, settings)
    if not backbone.decoder:
        raise UnsupportedError(
            t("{model!r} reads and does not write; name a decoder, e.g. smollm2-135m", model=model)
        )
    start = time.monotonic()
    rng = np.random.default_rng(0)
    sampled = [long[place] for place in rng.permutation(len(long))[: titles + EXAMPLES]]
    unseen = sampled[EXAMPLES:] or sampled
    completed = 0
    for place, title in enumerate(unseen):
        phase = t("{model} completes titles", model=model)
        progress(Step(done=place, total=len(unseen), phase=phase))
        completed += _completes(backbone, title, sampled[:EXAMPLES])
    mean, low, high = share_interval(completed, len(unseen))
    return Memorised(
        model=model,
        sampled=len(unseen),
        completed=completed,
        share=Figure(value=mean, low=low, high=high, n=len(unseen)),
        seconds=time.monotonic() - start,
    )


def _long_titles(dataset: Dataset) -> list[str]:
    """Different titles of enough words, sorted, so that a sample depends on the catalogue alone."""
    titles = {str(title)[:LENGTH] for title in dataset.items[Columns.TITLE]}
    return sorted(title for title in titles if len(title.split()) >= WORDS)


def _completes(backbone: Backbone, title: str, examples: list[str]) -> bool:
    words = title.split()
    half = len(words) // 2
    prompt = "\n".join([*examples, " ".join(words[:half])])
    rest = " ".join(words[half:])
    tokenizer = backbone.tokenizer
    read = torch.tensor([tokenizer(prompt, add_special_tokens=False)["input_ids"]])
    budget = len(tokenizer(rest, add_special_tokens=False)["input_ids"]) + 4
    wanted, said, written, cache = _plain(rest), list[str](), list[int](), None
    with torch.inference_mode():
        for _ in range(budget):
            step = backbone.module(input_ids=read, past_key_values=cache, use_cache=True)
            cache, read = step.past_key_values, step.logits[:1, -1:].argmax(dim=-1)
            written.append(int(read))
            text = tokenizer.decode(written, skip_special_tokens=True)
            said = _plain(text.partition("\n")[0])
            sure = said[:-1][: len(wanted)]  # the last word may go on with the next token
            if "\n" in text or sure != wanted[: len(sure)] or len(sure) == len(wanted):
                break
    return bool(wanted) and said[: len(wanted)] == wanted


def _plain(text: str) -> list[str]:
    """Words of a text without case, accents and marks."""
    return re.findall(r"\w+", fold(text))
