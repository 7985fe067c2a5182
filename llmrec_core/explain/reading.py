"""Reading an answer again: a contrast between two items of its list, from what it already holds. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from llmrec_core.explain.words import reasons


def contrast_in(body: Mapping[str, Any], rival: str) -> dict[str, Any] | None:
    """Why the answer's item rather than `rival` (an item id), shaped as its `contrast`; None when it does not hold it.

    Shapley values are linear in the game, so the values are the differences; errors add in squares.
    """
    other = next((one for one in body.get("others") or [] if one["item_id"] == rival), None)
    if other is None:
        return None
    players = [
        {**player, "value": player["value"] - value, "error": math.hypot(player["error"], error)}
        for player, value, error in zip(body["players"], other["values"], other["errors"], strict=True)
    ]
    labels = [str(player["title"]) for player in players]
    values, errors = ([player[name] for player in players] for name in ("value", "error"))
    return {
        "item_id": rival,
        "title": other["title"],
        "base": body["base"] - other["base"],
        "prediction": body["prediction"] - other["prediction"],
        "players": players,
        "text": reasons(str(body["title"]), labels, values, errors, str(other["title"])),
        "below": other["below"],
    }
