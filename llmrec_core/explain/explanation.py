"""The one record of an explanation: what each part was worth, how sure that is, whose score it was.

The engine makes it, the ledger keeps it as JSON, pages and reports read it back, and a notebook
turns it into shap's own form. No torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from llmrec_core.errors import DataError, UsageError
from llmrec_core.explain.players import Player
from llmrec_core.explain.shapley import Z95, interactions_from_table, relative_error
from llmrec_core.language import t
from llmrec_core.retelling import retold

if TYPE_CHECKING:
    import shap


@dataclass(frozen=True)
class Explanation:
    """What each player is worth for one item, in units of the target.

    Base + values = prediction.
    """

    players: tuple[Player, ...]
    values: np.ndarray
    """Shapley value of each player, float64 (players,)."""
    errors: np.ndarray
    """Half-widths of the 95 % interval of each value, 0 when exact, float64 (players,)."""
    base: float
    """The target with no player."""
    prediction: float
    """The target with all of them: for the target `score`, the score that the list shows."""
    exact: bool
    item: int = -1
    """Code of the item in its data set; -1 in a record that was read back."""
    item_id: str = ""
    title: str = ""
    rival_id: str = ""
    """The item whose target is subtracted; empty when one item alone is explained."""
    rival: str = ""
    """Title of that item."""
    target: str = "score"
    baseline: str = "remove"
    shares: Mapping[str, float] = field(default_factory=dict)
    """Share of each part in the score of the list (`reader`, `retriever`, or a family of a fusion).

    Empty for a recommender that scores every item by itself.
    """
    masks: np.ndarray | None = field(default=None, repr=False)
    """Coalitions behind the values, int64 bit masks, nobody first and everybody second.

    None in a record that was read back; so is `table`.
    """
    table: np.ndarray | None = field(default=None, repr=False)
    """The target of each of those coalitions."""
    forwards: int = 0
    """Coalitions scored for this answer; the rest was remembered."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def additivity_gap(self) -> float:
        """|base + sum of values - prediction|: rounding alone."""
        return abs(self.base + float(self.values.sum()) - self.prediction)

    @property
    def relative_error(self) -> float:
        """Estimated error: summed over the players, relative to the sum of absolute values."""
        return relative_error(self.values, self.errors)

    @property
    def full_table(self) -> np.ndarray | None:
        """V of all 2^n coalitions by bit mask, or None when not all were scored."""
        if self.masks is None or self.table is None or len(self.table) != 1 << len(self.players):
            return None
        return self.table[np.argsort(self.masks)]

    @property
    def interactions(self) -> np.ndarray | None:
        """Pairwise Shapley interactions (n, n), or None when not all coalitions were scored."""
        return None if self.full_table is None else interactions_from_table(self.full_table)

    @property
    def leave_one_out(self) -> list[float | None]:
        """What the prediction loses without each player alone; None where that was not scored."""
        if self.masks is None or self.table is None:
            return [None] * len(self.players)
        scored = dict(zip(self.masks.tolist(), self.table.tolist(), strict=True))
        everybody = (1 << len(self.players)) - 1
        without = [scored.get(everybody ^ 1 << number) for number in range(len(self.players))]
        return [None if value is None else self.prediction - value for value in without]

    @property
    def unsure(self) -> list[int]:
        """Numbers of the players whose interval holds 0: the sign of their value is not known."""
        pairs = zip(self.values, self.errors, strict=True)
        return [number for number, (v, e) in enumerate(pairs) if e > 0 and abs(v) <= e]

    def to_json(self) -> dict[str, Any]:
        """The record as JSON; tables of coalitions are left out."""
        return {
            "item_id": self.item_id,
            "title": self.title,
            "rival_id": self.rival_id,
            "rival": self.rival,
            "base": self.base,
            "prediction": self.prediction,
            "players": [
                _player_json(player, float(value), float(error))
                for player, value, error in zip(self.players, self.values, self.errors, strict=True)
            ],
            "exact": self.exact,
            "estimated_error": self.relative_error,
            "additivity_gap": self.additivity_gap,
            "target": self.target,
            "baseline": self.baseline,
            "shares": dict(self.shares),
            "forwards": self.forwards,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Explanation:
        """The explanation in an answer of the worker or in the record of a run.

        Records of version 0.1 hold base, prediction and the players' ids, titles and exact values.

        Raises:
            DataError: when one of those is missing or is no number.
        """
        try:
            rows = list(body["players"])
            return cls(
                tuple(_player_of(row) for row in rows),
                np.array([float(row["value"]) for row in rows]),
                np.array([float(row.get("error") or 0.0) for row in rows]),
                float(body["base"]),
                float(body["prediction"]),
                bool(body.get("exact", True)),
                item_id=str(body.get("item_id") or ""),
                title=str(body.get("title") or ""),
                rival_id=str(body.get("rival_id") or ""),
                rival=str(body.get("rival") or ""),
                target=str(body.get("target") or "score"),
                baseline=str(body.get("baseline") or "remove"),
                shares=dict(body.get("shares") or {}),
                forwards=int(body.get("forwards") or 0),
                seconds=float(body.get("seconds") or 0.0),
                cpu_seconds=float(body.get("cpu_seconds") or 0.0),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                t(
                    "this is no explanation: {error}; expected base, prediction and players",
                    error=error,
                )
            ) from error

    def to_shap(self) -> shap.Explanation:
        """The same as shap's own record of one row, for shap's plots.

        `feature_names` are the players, `display_data` says how far back each stands, and
        `error_std`, `lower_bounds` and `upper_bounds` hold our error bars.
        """
        # Reading a record must never need shap, so that is no import of this module.
        return importlib.import_module("shap").Explanation(
            values=self.values,
            base_values=self.base,
            data=np.array([np.nan if p.back is None else p.back for p in self.players]),
            display_data=np.array([_where(player) for player in self.players]),
            feature_names=[player.label for player in self.players],
            error_std=self.errors / Z95,
            lower_bounds=self.values - self.errors,
            upper_bounds=self.values + self.errors,
            compute_time=self.seconds,
        )


def combine(
    explanations: Sequence[Explanation], weights: Sequence[float], offset: float = 0.0
) -> Explanation:
    """The weighted sum of explanations of the same players, with no new scoring.

    Shapley values are linear in the game, so this is exact where all are; else the errors are added
    in squares. Names and parts are those of the first.

    Args:
        explanations: at least one.
        weights: one for each.
        offset: what is added to base and prediction.

    Raises:
        UsageError: when they are not about the same players, target and baseline.
    """
    first = explanations[0]
    same = [(each.players, each.target, each.baseline) for each in explanations]
    if same != same[:1] * len(same):
        raise UsageError(
            t(
                "the explanations have other players, targets or baselines; explain all of them "
                "the same way"
            )
        )
    masks, tables = _shared_coalitions(explanations)
    pairs = list(zip(weights, explanations, strict=True))
    return Explanation(
        first.players,
        np.sum([weight * each.values for weight, each in pairs], axis=0),
        np.sqrt(np.sum([(weight * each.errors) ** 2 for weight, each in pairs], axis=0)),
        sum(weight * each.base for weight, each in pairs) + offset,
        sum(weight * each.prediction for weight, each in pairs) + offset,
        all(each.exact for each in explanations),
        item=first.item,
        item_id=first.item_id,
        title=first.title,
        target=first.target,
        baseline=first.baseline,
        shares=first.shares,
        masks=masks,
        table=None if masks is None else np.tensordot(weights, tables, axes=1) + offset,
        forwards=sum(each.forwards for each in explanations),
        seconds=sum(each.seconds for each in explanations),
        cpu_seconds=sum(each.cpu_seconds for each in explanations),
    )


def contrast(first: Explanation, second: Explanation) -> Explanation:
    """Why the first item rather than the second: the difference of two explanations of one game.

    Raises:
        UsageError: as `combine`.
    """
    both = combine((first, second), (1.0, -1.0))
    return replace(
        both,
        rival_id=second.item_id,
        rival=second.title,
        forwards=0,
        seconds=0.0,
        cpu_seconds=0.0,
    )


def _shared_coalitions(
    explanations: Sequence[Explanation],
) -> tuple[np.ndarray | None, list[np.ndarray]]:
    """The coalitions that all have scored, nobody first and everybody second, and their tables."""
    masks: np.ndarray | None = explanations[0].masks
    tables = [
        each.table for each in explanations if each.masks is not None and each.table is not None
    ]
    if masks is None or len(tables) < len(explanations):
        return None, []
    for each in explanations[1:]:
        assert each.masks is not None, "counted above"
        masks = np.intersect1d(masks, each.masks)
    everybody = (1 << len(explanations[0].players)) - 1
    order = np.lexsort((masks, masks != everybody, masks != 0))
    masks = masks[order]
    rows = []
    for each, table in zip(explanations, tables, strict=True):
        assert each.masks is not None, "counted above"
        sorted_rows = np.argsort(each.masks)
        rows.append(table[sorted_rows[np.searchsorted(each.masks, masks, sorter=sorted_rows)]])
    return masks, rows


def _player_json(player: Player, value: float, error: float) -> dict[str, Any]:
    return {
        "item_id": player.item_id,
        "title": player.label,
        "kind": player.kind,
        "value": value,
        "error": error,
        "items": list(player.items),
        "back": player.back,
        "field": player.field,
    }


def _player_of(row: Mapping[str, Any]) -> Player:
    item_id = str(row.get("item_id") or "")
    items = tuple(str(item) for item in row.get("items") or ([item_id] if item_id else []))
    back = row.get("back")
    kind, label = str(row.get("kind") or "item"), str(row["title"])
    return Player(
        kind,
        label if kind == "item" else retold(label),  # an item's title is never a sentence of ours
        items=items,
        back=None if back is None else int(back),
        field=str(row.get("field") or ""),
    )


def _where(player: Player) -> str:
    if player.back is None:
        return player.value
    return t("{back} back", back=player.back)
