"""An explanation in sentences, the only writer of them.

Titles are data: they go in as they are, and whoever shows a sentence escapes it. A reason is named
only when its sign is certain, and two reasons are called the main ones only when they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from llmrec_core.explain.counterfactual import Counterfactual
from llmrec_core.explain.explanation import Explanation
from llmrec_core.language import t, tn

LARGE_ERROR = 0.2
"""Estimated error above which sizes of values must not be read."""
NAMED = 2
"""Reasons that a sentence names for an item."""
MOSTLY = 0.5
"""Share of all that speaks for an item from which its reasons are called the main ones."""


class _Reason(NamedTuple):
    value: float
    label: str

    def text(self) -> str:
        return t("{label} ({value:+.3f})", label=self.label, value=self.value)


def joined(names: Sequence[str]) -> str:
    """A few names as one phrase: `a`, `a and b`, `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return t("{first} and {last}", first=", ".join(names[:-1]), last=names[-1])


def sentence(explanation: Explanation) -> str:
    """Why the item, or why it rather than its rival, and whose score that was."""
    text = why(explanation)
    whose = score_source(explanation.shares)
    return t("{reasons} {whose}", reasons=text, whose=whose) if whose else text


def score_source(shares: Mapping[str, float]) -> str:
    """Whose score was explained, where the score of a list is made of several; else nothing.

    Args:
        shares: share of each part, as `Explanation.shares`.
    """
    if not shares:
        return ""
    if set(shares) == {"reader"}:
        return t(
            "Explained is its score in the list, which the language model gives alone; the "
            "retriever chose what the language model reads."
        )
    if set(shares) == {"retriever"}:
        return t(
            "Explained is its score in the list, which the retriever gives alone; the language "
            "model has no say in it."
        )
    roles = {"reader": t("the language model"), "retriever": t("the retriever")}
    parts = [
        t("{share:.2f} × {part}", share=share, part=roles.get(role, role))
        for role, share in sorted(shares.items(), key=lambda pair: -abs(pair[1]))
    ]
    return t(
        "Explained is its score in the list, {parts}, each in standard deviations of the list.",
        parts=" + ".join(parts),
    )


def why(explanation: Explanation) -> str:
    """Why the item, or why it rather than its rival: what speaks for it most, and against it."""
    title, rival = explanation.title, explanation.rival
    named = t("{title} rather than {rival}", title=title, rival=rival) if rival else title
    if not explanation.players:
        return t("{named} is scored without any history, so nothing can be a reason.", named=named)
    if not explanation.values.any():
        return t(
            "No part of what the model read changes its score of {named}: it would score it the "
            "same without.",
            named=named,
        )
    unsure = set(explanation.unsure)
    sure = sorted(
        (
            _Reason(float(value), player.label)
            for number, (value, player) in enumerate(
                zip(explanation.values, explanation.players, strict=True)
            )
            if value and number not in unsure
        ),
        key=lambda reason: -reason.value,
    )
    if not sure:
        return t(
            "No reason for {named} is certain: every value is smaller than its error. Score more "
            "coalitions.",
            named=named,
        )
    helping = [reason for reason in sure[:NAMED] if reason.value > 0]
    against = sure[-1] if sure[-1].value < 0 else None
    if helping:
        return _for_it(explanation, named, helping, against)
    assert against is not None, "a certain value is above or below 0"
    return t(
        "Nothing that the model read speaks for {named} for certain; {against} speaks against it "
        "most. Only differences order a list: look at why it stands before another.",
        named=named,
        against=against.text(),
    )


def _for_it(
    explanation: Explanation, named: str, helping: Sequence[_Reason], against: _Reason | None
) -> str:
    reasons = joined([reason.text() for reason in helping])
    tail = t("; {against} speaks against it", against=against.text()) if against else ""
    if explanation.rival and explanation.prediction < 0:
        return t(
            "{title} stands below {rival}. {reasons} speak for {title} all the same{tail}.",
            title=explanation.title,
            rival=explanation.rival,
            reasons=reasons,
            tail=tail,
        )
    hidden = [
        explanation.players[number].label
        for number in explanation.unsure
        if explanation.values[number] + explanation.errors[number] > helping[0].value
    ]
    if hidden:
        return t(
            "{reasons} speak for {named} for certain{tail}. {hidden} may count more, but whether "
            "for or against is not known.",
            reasons=reasons,
            named=named,
            tail=tail,
            hidden=joined(hidden[:NAMED]),
        )
    positive = float(explanation.values[explanation.values > 0].sum())
    share = sum(reason.value for reason in helping) / positive
    if share < MOSTLY:
        return t(
            "Many small reasons speak for {named}, most of all {reasons}, {share:.0%} of "
            "them{tail}.",
            named=named,
            reasons=reasons,
            share=share,
            tail=tail,
        )
    return t(
        "{named} is recommended mostly because of {reasons}{tail}.",
        named=named,
        reasons=reasons,
        tail=tail,
    )


def change(
    change_of: Counterfactual, title: str, removed: Sequence[str], rivals: Sequence[str]
) -> str:
    """What would change the recommendation, and how sure that is.

    Args:
        change_of: what the search found.
        title: of the item.
        removed: labels of the players that are taken away.
        rivals: titles of the items it is compared with.
    """
    if len(rivals) == 1:
        return _change_of_one(change_of, title, removed, rivals[0])
    places = {"place": change_of.place, "all": len(rivals) + 1, "title": title}
    if change_of.place == len(rivals) + 1:
        return t(
            "{title} is last of the {all} items compared: it cannot fall any further.", **places
        )
    if change_of.out:
        return t(
            "Without {removed}, {title} falls from place {place} to place {lower} of the {all} "
            "items compared. {sure}",
            removed=joined(removed),
            lower=change_of.place_without,
            sure=_sure(change_of),
            **places,
        )
    first = t("first") if change_of.places == 1 else t("in the first {n}", n=change_of.places)
    if change_of.proved:
        return t(
            "{title} is at place {place} of the {all} items compared, and stays {first} no matter "
            "which history items are removed: every set was scored.",
            first=first,
            **places,
        )
    return t(
        "{title} is at place {place} of the {all} items compared. Without which history items it "
        "would not stay {first} is not known: {tried}.",
        first=first,
        tried=_tried(change_of),
        **places,
    )


def _change_of_one(
    change_of: Counterfactual, title: str, removed: Sequence[str], rival: str
) -> str:
    names = {"title": title, "rival": rival}
    if change_of.place > 1:
        return t("{title} stands below {rival} with the whole history already.", **names)
    if change_of.out:
        return t(
            "Without {removed}, {title} falls below {rival}. {sure}",
            removed=joined(removed),
            sure=_sure(change_of),
            **names,
        )
    if change_of.proved:
        return t(
            "{title} stays above {rival} no matter which history items are removed: every set was "
            "scored.",
            **names,
        )
    return t(
        "{title} stands above {rival}. Without which history items it would not is not known: "
        "{tried}.",
        tried=_tried(change_of),
        **names,
    )


def _sure(change_of: Counterfactual) -> str:
    if change_of.proved:
        return t("No smaller set does it: all were scored.")
    return t("A smaller set may exist: not all were scored.")


def _tried(change_of: Counterfactual) -> str:
    if not change_of.tried:
        return t("too few sets were scored")
    return tn(
        "removing any one of them is not enough, and larger sets were not all scored",
        "removing any {count} of them is not enough, and larger sets were not all scored",
        change_of.tried,
    )


def reordering(titles: Sequence[str], order: Sequence[int]) -> str:
    """How a list changed when history items were taken away.

    Args:
        titles: in the order that the list had.
        order: where in that order each item stood, in the new order.
    """
    first = titles[order[0]]
    if list(order) == sorted(order):
        return t("The list stays in the same order, with {first} first.", first=first)
    moved = [(place - old, place) for place, old in enumerate(order)]
    rise, up = min(moved)
    fall, down = max(moved)
    return t(
        "{first} {stays}. {up} rises most, by {rise} to place {high}; {down} falls most, by {fall} "
        "to place {low}.",
        first=first,
        stays=t("stays first") if order[0] == 0 else t("is first now, before {old}", old=titles[0]),
        up=titles[order[up]],
        rise=-rise,
        high=up + 1,
        down=titles[order[down]],
        fall=fall,
        low=down + 1,
    )


def warnings(explanation: Explanation) -> list[str]:
    """What a reader must know before believing the values."""
    lines = []
    unsure = explanation.unsure
    if unsure:
        names = ", ".join(explanation.players[i].label for i in unsure[:3])
        lines.append(
            t(
                "{unsure} of {players} values are smaller than their error, so their sign is not "
                "known: {names}{more}.",
                unsure=len(unsure),
                players=len(explanation.players),
                names=names,
                more=" …" if len(unsure) > 3 else "",
            )
        )
    if not explanation.exact and explanation.relative_error > LARGE_ERROR:
        lines.append(
            t(
                "The estimated error is {error:.0%} of the values: read the order of the "
                "strongest reasons, not their sizes. A larger budget makes it smaller.",
                error=explanation.relative_error,
            )
        )
    if explanation.players and not explanation.values.any():
        lines.append(t("The score does not depend on anything that was varied: all values are 0."))
    return lines
