"""What a run of a hosted model will cost, counted before it starts and while it asks.

Before the start tokens are estimated from the length of titles. From the first answer on, an
endpoint's own count of tokens is known, and the next prompt is expected to have as many a byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from llmrec_core.contract.families import is_hosted
from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.money import small_dollars
from llmrec_core.recommenders.hosted.prompt import one_line, prompt
from llmrec_core.types import Columns

if TYPE_CHECKING:
    from llmrec_core.contract.spec import RunSpec
    from llmrec_core.data.dataset import Dataset

BYTES_PER_TOKEN = 2.3
"""Bytes of a prompt that make a token before anything was counted: of SmolLM2, which reads lists of
films with their years digit by digit. Larger vocabularies make fewer tokens of them."""
FRAME_TOKENS = 16
"""Tokens that an endpoint's own frame adds to a prompt."""
LONGEST_ORDER = 3
"""Tokens of a written order for each candidate: the letter, its comma, a space."""
SPARE_TOKENS = 8


def order_tokens(candidates: int) -> int:
    """Tokens that an answer with the written order of so many candidates may have at most."""
    return LONGEST_ORDER * candidates + SPARE_TOKENS


def expected_tokens(text: str, per_byte: float | None = None) -> int:
    """Tokens of a prompt.

    Args:
        text: the prompt.
        per_byte: tokens a byte that the endpoint has counted so far; None before its first answer.
    """
    size = len(text.encode())
    if per_byte is not None:
        return round(size * per_byte)
    return FRAME_TOKENS + round(size / BYTES_PER_TOKEN)


@dataclass(frozen=True)
class Estimate:
    """What a run is expected to ask for."""

    prompts: int
    tokens_in: float
    tokens_out: float
    usd: float


def estimate(spec: RunSpec, dataset: Dataset) -> Estimate:
    """Prompts, tokens and dollars of a run, from the mean length of a title.

    Args:
        spec: of the family `hosted`.
        dataset: whose titles are read.
    """
    chosen, protocol = spec.recommender, spec.protocol
    titles = [one_line(str(title)) for title in dataset.items[Columns.TITLE].tolist()]
    mean = round(float(np.mean([len(title.encode()) for title in titles]))) if titles else 0
    lengths = np.bincount(dataset.interactions[Columns.USER], minlength=max(dataset.n_users, 1))
    read = round(float(np.minimum(lengths, chosen.history_items).mean()))
    text = prompt(["x" * mean] * read, ["x" * mean] * chosen.rerank_k, "order")
    times = 1 + (protocol.also_full and protocol.candidates != "full") + protocol.also_time
    prompts = times * min(protocol.users or dataset.n_users, dataset.n_users)
    tokens_in = float(prompts * expected_tokens(text))
    tokens_out = float(prompts * order_tokens(chosen.rerank_k))
    usd = chosen.endpoint.usd(tokens_in, tokens_out)
    return Estimate(prompts, tokens_in, tokens_out, usd)


def require_affordable(spec: RunSpec, dataset: Dataset) -> None:
    """Refuse a run of a hosted model that is expected to cost more than its limit.

    Raises:
        UnsupportedError: with the estimate and what would fit.
    """
    if not is_hosted(spec.recommender.family):
        return
    limit = spec.recommender.endpoint.limit_usd or 0.0
    expected = estimate(spec, dataset)
    if expected.usd <= limit:
        return
    users = int((spec.protocol.users or dataset.n_users) * limit / expected.usd)
    raise UnsupportedError(
        t(
            "run {name!r} would cost about {usd} for {prompts:,} prompts, and "
            "recommender.endpoint.limit_usd is {limit}; raise it, or ask fewer people: "
            "protocol.users = {users} fits",
            name=spec.name,
            usd=small_dollars(expected.usd),
            prompts=expected.prompts,
            limit=small_dollars(limit),
            users=users,
        )
    )
