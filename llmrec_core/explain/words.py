"""An explanation in sentences. Titles are data: they go in as they are, and whoever shows a sentence escapes it."""

from __future__ import annotations

from collections.abc import Sequence

from llmrec_core.explain.counterfactual import Counterfactual
from llmrec_core.explain.engine import Explanation
from llmrec_core.explain.honesty import uncertain


def sentence(title: str, explanation: Explanation, rival: str = "") -> str:
    """The two strongest reasons for the item, and the strongest against, with what is not certain left out."""
    labels = [player.label for player in explanation.players]
    return reasons(title, labels, explanation.values.tolist(), explanation.errors.tolist(), rival)


def reasons(
    title: str, labels: Sequence[str], values: Sequence[float], errors: Sequence[float], rival: str = ""
) -> str:
    """As `sentence`, from plain lists."""
    named = f"{title} rather than {rival}" if rival else title
    sure = [
        (value, label)
        for value, error, label in zip(values, errors, labels, strict=True)
        if value and abs(value) >= error
    ]
    unsure = any(value and abs(value) < error for value, error in zip(values, errors, strict=True))
    if not sure:
        if not any(values):
            return f"No part of what the model read changes its score of {named}: it would score it the same without."
        return f"No reason for {named} is certain: every value is smaller than its error. Score more coalitions."
    sure.sort(key=lambda pair: -pair[0])
    helping = [f"{label} ({value:+.3f})" for value, label in sure[:2] if value > 0]
    lowest, against = sure[-1]
    tail = f"; {against} speaks against it ({lowest:+.3f})" if lowest < 0 else ""
    if not helping and unsure:
        return f"No reason for {named} is certain{tail}. Score more coalitions to know more."
    if not helping:
        return f"Nothing in the history speaks for {named}; {against} has the lowest value ({lowest:+.3f})."
    return f"{named} is recommended mostly because of {' and '.join(helping)}{tail}."


def change(found: Counterfactual, title: str, labels: Sequence[str], rivals: Sequence[str]) -> str:
    """What would change the recommendation, and how sure that is."""
    goal = (
        f"falls below {rivals[0]}"
        if len(rivals) == 1
        else f"leaves the first {found.places} of {len(rivals) + 1} compared"
    )
    stays = f"stays above {rivals[0]}" if len(rivals) == 1 else f"stays in the first {found.places}"
    if not found.found and found.proved:
        return f"Whatever history items are removed, {title} {stays}: every set was scored."
    if not found.found:
        sizes = f"no set of up to {found.tried} items does it" if found.tried else "nothing was found"
        return (
            f"After removing which history items {title} {goal} is not known: {sizes}, larger sets were not all tried."
        )
    if not found.removed:
        return f"{title} already {goal} with the whole history."
    names = " and ".join(labels[i] for i in found.removed)
    sure = (
        "No smaller set does it: all were scored." if found.proved else "A smaller set may exist: not all were scored."
    )
    return f"Without {names}, {title} {goal}. {sure}"


def warnings(explanation: Explanation) -> list[str]:
    """What a reader must know before believing the values."""
    found = []
    unsure = uncertain(explanation)
    if unsure:
        names = ", ".join(explanation.players[i].label for i in unsure[:3]) + (" …" if len(unsure) > 3 else "")
        found.append(
            f"{len(unsure)} of {len(explanation.players)} values are smaller than their error, so their sign is not "
            f"known: {names}."
        )
    if not explanation.exact and explanation.relative_error > 0.2:
        found.append(
            f"The estimated error is {explanation.relative_error:.0%} of the values: read the order of the strongest "
            "reasons, not their sizes. A larger budget makes it smaller."
        )
    if not explanation.values.any():
        found.append("The score does not depend on anything that was varied: all values are 0.")
    return found
