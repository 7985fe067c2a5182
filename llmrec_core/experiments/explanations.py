"""An explanation as a record: which history items moved the score of one item, and the sentence that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmrec_core.errors import DataError


@dataclass(frozen=True)
class Player:
    """A history item and its Shapley value, in units of the model's score."""

    item_id: str
    title: str
    value: float


@dataclass(frozen=True)
class Explanation:
    """`base` + the values = `prediction`."""

    item_title: str
    base: float
    prediction: float
    players: tuple[Player, ...]
    text: str
    seconds: float | None = None
    forwards: int | None = None

    @property
    def gap(self) -> float:
        """How far base + values is from the score; exact values leave only rounding."""
        return self.base + sum(player.value for player in self.players) - self.prediction


def read(body: Mapping[str, Any], item_title: str = "") -> Explanation:
    """The explanation in an answer of the worker or in a run's document.

    Raises:
        DataError: when a part is missing.
    """
    try:
        players = tuple(
            Player(str(one.get("item_id", "")), str(one["title"]), float(one["value"])) for one in body["players"]
        )
        base, prediction = float(body["base"]), float(body["prediction"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"an explanation without {error}; expected base, prediction and players") from error
    title = str(body.get("title") or item_title)
    text = str(body.get("text") or sentence(title, players))
    return Explanation(title, base, prediction, players, text, body.get("seconds"), body.get("forwards"))


def sentence(item_title: str, players: tuple[Player, ...]) -> str:
    """The two strongest reasons for, and the strongest against, in words."""
    if not players:
        return f"{item_title} is scored without any history, so there is nothing to attribute."
    order = sorted(players, key=lambda player: -player.value)
    for_it = [player for player in order[:2] if player.value > 0]
    least = order[-1]
    if not for_it:
        return (
            f"Nothing in the history speaks for {item_title}; {least.title} has the lowest value ({least.value:+.3f})."
        )
    reasons = " and ".join(f"{player.title} ({player.value:+.3f})" for player in for_it)
    tail = f"; {least.title} speaks against it ({least.value:+.3f})" if least.value < 0 else ""
    return f"{item_title} is recommended mostly because of {reasons}{tail}."
