"""All that is shown of one explanation, and its HTML: part of a report, or a file of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from llmrec_core.explain import many_rows, notes
from llmrec_core.explain.explanation import Explanation
from llmrec_core.explain.sentences import score_source, warnings, why
from llmrec_core.explain.stored import change_text
from llmrec_core.language import t
from llmrec_core.reading import html
from llmrec_core.reading.comparison import require_pair
from llmrec_core.reading.row import Row

WIDEST_PX = 200
"""Width of the bar of the strongest reason."""
DIFFERENT = 1e-3
"""Relative difference from which the score of a list and the explained one are two."""


@dataclass(frozen=True)
class Reasons:
    """One explanation with all that a reader has to know beside it."""

    explanation: Explanation
    sentence: str
    """Why the item."""
    source: str
    """Whose score was explained, where that of a list is made of several; else empty."""
    warnings: tuple[str, ...]
    """What to know before believing it: of this explanation, then of all of its run."""
    change: str
    """What would change the recommendation; empty where the record does not say."""
    notes: tuple[str, ...]
    run: str
    """Name of the run that was explained."""


def read(
    body: Mapping[str, Any],
    *,
    run: str,
    title: str = "",
    many: Mapping[str, Any] | None = None,
) -> Reasons:
    """The explanation in an answer of the worker, or in the record of a run.

    Args:
        body: the answer or record; of version 0.1 as well.
        run: name of the run.
        title: of the item, where the record does not hold it.
        many: the run's document `many_rows.DOCUMENT`, what was seen over many people.

    Raises:
        DataError: when a part is missing.
    """
    explanation = Explanation.from_json(body)
    explanation = replace(explanation, title=explanation.title or title)
    return Reasons(
        explanation,
        why(explanation),
        score_source(explanation.shares),
        (*warnings(explanation), *many_rows.run_warnings(many)),
        change_text(body.get("smallest_set"), explanation.title),
        tuple(notes.texts(body.get("notes"))),
        run,
    )


def agreement(
    first: Row, second: Row, ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """As `many_rows.agreement`, for two runs of one data set and protocol.

    Args:
        first: a run.
        second: the other.
        ours: rows of the first one's answer.
        theirs: rows of the other's.

    Raises:
        UsageError: for runs of different data or protocols.
    """
    require_pair(first, second, same_people=False)
    return many_rows.agreement(ours, theirs)


def score_note(explanation: Explanation, listed: float | None) -> str:
    """A sentence where the score of the list is not the one that was explained; else nothing.

    Args:
        explanation: of an item of the list.
        listed: the score that the list shows; None where it shows none.
    """
    if listed is None:
        return ""
    names = {"listed": listed, "explained": explanation.prediction}
    if explanation.target == "probability":
        return t(
            "The list shows {listed:.3f}; explained is the probability that it stands for, "
            "{explained:.3f}.",
            **names,
        )
    if abs(listed - explanation.prediction) <= DIFFERENT * max(abs(listed), 1.0):
        return ""
    return t(
        "The list shows {listed:.3f}; explained is another score of this item, {explained:.3f}: "
        "the model's own, or with attributes put into its prompt.",
        **names,
    )


def value_text(value: float, error: float) -> str:
    """`+0.123` or `+0.123 ± 0.045`."""
    if not error:
        return t("{value:+.3f}", value=value)
    return t("{value:+.3f} ± {error:.3f}", value=value, error=error)


def section(reasons: Reasons, *lines: str) -> Markup:
    """Sentence, values and warnings as a part of a page.

    Args:
        reasons: what is shown.
        *lines: further sentences, after the values.
    """
    explanation = reasons.explanation
    triples = sorted(
        zip(explanation.players, explanation.values, explanation.errors, strict=True),
        key=lambda triple: -triple[1],
    )
    widest = max((abs(float(value)) for _, value, _ in triples), default=0.0) or 1.0
    return html.fragment(
        "reasons.html",
        sentence=reasons.sentence,
        columns=(t("Reason"), t("Shapley value")),
        base_label=t("without any of them"),
        base=f"{explanation.base:+.3f}",
        rows=[
            {
                "label": player.label,
                "value": value_text(float(value), float(error)),
                "side": "for" if value >= 0 else "against",
                "width_px": round(WIDEST_PX * abs(float(value)) / widest),
            }
            for player, value, error in triples
        ],
        score_label=t("score of {title}", title=explanation.title),
        score=f"{explanation.prediction:+.3f}",
        lines=[
            *(t("Warning: {warning}", warning=warning) for warning in reasons.warnings),
            *(line for line in (reasons.source, reasons.change, *lines, *reasons.notes) if line),
        ],
        source=t("Explained run: {run}", run=reasons.run),
    )


def page(reasons: Reasons, *lines: str) -> str:
    """One explanation as a file of its own.

    Args:
        reasons: what is shown.
        *lines: further sentences, e.g. whose list it is.
    """
    title = t("Why {title}", title=reasons.explanation.title)
    body = html.fragment("explanation.html", title=title, reasons=section(reasons, *lines))
    return html.page(title, body)
