"""One question, one JSON answer: what a run records, and what pages and commands read."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, get_args

import numpy as np

from llmrec_core.contract.recommender import Recommender
from llmrec_core.contract.requests import Baseline, ExplainRequest
from llmrec_core.contract.spec import RunSpec
from llmrec_core.data.dataset import Dataset
from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.explain.coalitions import Game
from llmrec_core.explain.comparisons import contrast_with_rival, others, smallest_change, without
from llmrec_core.explain.counterfactual import curves
from llmrec_core.explain.engine import explain
from llmrec_core.explain.explanation import Explanation
from llmrec_core.explain.honesty import faithfulness
from llmrec_core.explain.occasion import Occasion, id_of, item_of, occasion_of, title_of
from llmrec_core.explain.question import Question
from llmrec_core.explain.sentences import sentence, warnings
from llmrec_core.language import t
from llmrec_core.metrics.correlation import spearman

SENSITIVITY_BUDGET = 48
"""Coalitions under each of the other baselines."""
STRONGEST = 10
"""Pairs of players that an answer holds."""

Json = dict[str, Any]


def explain_answer(
    recommender: Recommender,
    dataset: Dataset,
    spec: RunSpec,
    request: ExplainRequest,
    *,
    occasion: Occasion | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Json:
    """Why an item is recommended, how sure that is, and what would change it.

    Args:
        recommender: the fitted recommender of a run.
        dataset: its data.
        spec: its spec, which says how it was evaluated.
        request: what is asked.
        occasion: the list that the item stands in, where the caller has it; else as `occasion_of`.
        progress: called while a language model reads prompts, with those read and all of a passage.

    Returns:
        the explanation as `Explanation.to_json`, with `text`, `notes`, `contrast`, `smallest_set`,
        `others`, `without`, `words`, `curves`, `interactions`, `leave_one_out` and `honesty`; what
        was not asked is None.

    Raises:
        LlmrecError: a sentence for every question that has no answer.
    """
    began = time.perf_counter()
    if occasion is None:
        occasion = occasion_of(dataset, spec.protocol, request)
    question = Question(recommender, dataset, occasion, request, progress)
    game = question.game()
    before, spent = game.forwards, game.cpu_seconds
    if not question.players:
        explanation = _nobody(question)
        body = explanation.to_json() | _NOTHING
    else:
        explanation = question.explain(question.item, question.others)
        body = explanation.to_json() | {
            "interactions": _interactions(explanation),
            "leave_one_out": explanation.leave_one_out,
            "contrast": contrast_with_rival(question, explanation),
            "smallest_set": smallest_change(question, explanation),
            "others": others(question),
            "curves": _curves(question, explanation),
            "without": without(question),
            "words": _words(question),
        }
    return body | {
        "text": sentence(explanation),
        "notes": [note.to_json() for note in question.notes],
        "honesty": _honesty(question, explanation, game, before, spent, began),
        "forwards": game.forwards - before,
        "seconds": time.perf_counter() - began,
    }


_NOTHING: Json = dict.fromkeys(
    ("interactions", "contrast", "smallest_set", "curves", "without", "words")
) | {"leave_one_out": [], "others": []}
"""What there is to say where nobody plays."""


def _nobody(question: Question) -> Explanation:
    """An empty history and a model without fields: the score is all there is to say."""
    score = float(question.game().values(np.array([0]), [question.item])[0, 0])
    nothing = np.zeros(0)
    explanation = Explanation(
        (), nothing, nothing, score, score, True, item=question.item,
        baseline=question.request.baseline,
    )  # fmt: skip
    return question.named(explanation, question.item)


def _interactions(explanation: Explanation) -> list[Json] | None:
    """The strongest pairs, or None when not every coalition was scored."""
    table = explanation.interactions
    if table is None:
        return None
    pairs = [(i, j) for i in range(len(table)) for j in range(i)]
    pairs.sort(key=lambda pair: -abs(table[pair]))
    labels = [player.label for player in explanation.players]
    return [
        {"a": labels[i], "b": labels[j], "value": float(table[i, j])} for i, j in pairs[:STRONGEST]
    ]


def _curves(question: Question, explanation: Explanation) -> Json | None:
    """Scores as the strongest reasons come and go; only where that is free or was asked for."""
    if explanation.full_table is None and not question.request.honesty:
        return None
    order = np.argsort(-explanation.values, kind="stable")
    coming, going = curves(question.game(), [question.item], order.tolist())
    return {
        "order": [explanation.players[i].label for i in order],
        "insertion": coming[:, 0].tolist(),
        "deletion": going[:, 0].tolist(),
    }


def _honesty(
    question: Question,
    explanation: Explanation,
    game: Game,
    before: int,
    spent: float,
    began: float,
) -> Json:
    """How far to trust it, and what it cost.

    Args:
        question: what was asked.
        explanation: its answer.
        game: the game that answered it.
        before: coalitions that had been scored before it.
        spent: processor seconds that had been spent before it.
        began: when it was asked, by the performance counter.
    """
    full, several = question.request.honesty, len(explanation.players) > 1
    measured = None
    if several and (full or explanation.full_table is not None):
        measured = faithfulness(explanation, game)
    return {
        "additivity_gap": explanation.additivity_gap,
        "estimated_error": explanation.relative_error,
        "exact": explanation.exact,
        "coalitions": 1 if explanation.masks is None else len(explanation.masks),
        "of": 1 << len(explanation.players),
        "warnings": warnings(explanation),
        "faithfulness": None
        if measured is None
        else {
            "z": measured.z,
            "z_leave_one_out": measured.z_leave_one_out,
            "orders": measured.orders,
        },
        "baseline_sensitivity": _sensitivity(question, explanation) if full and several else None,
        "forwards": game.forwards - before,
        "remembered": game.forwards == before,
        "cpu_seconds": game.cpu_seconds - spent,
        **_price_of(time.perf_counter() - began),
    }


def _sensitivity(question: Question, explanation: Explanation) -> list[Json]:
    """Rank correlation with the values under the other baselines, at a small budget."""
    rows = []
    for baseline in get_args(Baseline):
        if baseline == explanation.baseline or (baseline == "mask" and question.reader is None):
            continue
        try:
            game = question.game(baseline)
        except UnsupportedError:  # a decoder's tokenizer has no [MASK]
            continue
        other = explain(
            game,
            question.item,
            target=explanation.target,
            budget=max(SENSITIVITY_BUDGET, len(explanation.players) + 2),
            baseline=baseline,
        )
        same = int(np.argmax(other.values)) == int(np.argmax(explanation.values))
        rows.append(
            {
                "baseline": baseline,
                "spearman": spearman(explanation.values, other.values),
                "same_top": same,
            }
        )
    return rows


def _words(question: Question) -> Json | None:
    """A history item opened into its words."""
    if question.request.words is None:
        return None
    if question.reads_lists:
        raise UnsupportedError(
            t(
                "a model that reads whole lists is only asked with other histories, so an item is "
                "not opened into its words; leave 'words' out"
            )
        )
    if question.reader is None:
        raise UnsupportedError(
            t("this recommender reads item ids, not words; only text models can be opened further")
        )
    from llmrec_core.explain.word_values import words_of

    wanted = item_of(question.dataset, question.request.words, "words")
    opened = words_of(question, wanted)
    if opened is None:
        raise UsageError(
            t(
                "{title!r} is not among the history items that are read",
                title=title_of(question.dataset, wanted),
            )
        )
    return {
        "item_id": id_of(question.dataset, wanted),
        "title": title_of(question.dataset, wanted),
        "words": [
            {"word": word, "value": float(value)}
            for word, value in zip(opened.words, opened.values, strict=True)
        ],
        "total": opened.total,
        "forwards": opened.forwards,
    }


@lru_cache(maxsize=1)
def _price() -> tuple[float | None, str]:
    from llmrec_core.profiling import device
    from llmrec_core.profiling.economics import economics_of

    economics = economics_of(device.describe())
    return economics.usd_per_hour, economics.price_source


def _price_of(seconds: float) -> Json:
    """Dollars of the machine for so long, or why they are not known."""
    price, source = _price()
    return {"usd": None if price is None else price * seconds / 3600, "price_source": source}
