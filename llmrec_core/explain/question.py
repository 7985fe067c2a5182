"""A question about one recommendation, checked: which item of which list, and who plays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from llmrec_core.contract.recommender import (
    HoldsList,
    ListScore,
    ReadsLists,
    ReadsPrompts,
    Recommender,
    ScoresLists,
    SumsItems,
    routed_requests,
)
from llmrec_core.contract.requests import Baseline, ExplainRequest
from llmrec_core.data.dataset import Dataset
from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.explain.coalitions import Coalitions, Game, HistoryScores, Memory, Scores
from llmrec_core.explain.engine import explain, explain_decayed
from llmrec_core.explain.explanation import Explanation, combine
from llmrec_core.explain.list_game import ListGame
from llmrec_core.explain.notes import Note
from llmrec_core.explain.occasion import Occasion, id_of, item_of, items_of, title_of
from llmrec_core.explain.parts import Part, items_read, require_scored_here
from llmrec_core.explain.players import (
    MAX_EXACT,
    MAX_PLAYERS,
    Player,
    backgrounds,
    field_players,
    history_players,
    relations_read,
    user_players,
)
from llmrec_core.language import marked, t

if TYPE_CHECKING:
    from llmrec_core.explain.prompt_scores import PromptScores

ENCODER_BUDGET, DECODER_BUDGET = 128, 64
"""Coalitions that text models score when neither a budget nor an error is asked for."""
USUAL_ERROR = 0.02
"""Error of every other model where exact values are too many scorings."""

MEMORY = Memory()


class Question:
    """One question, with the game that answers it.

    Args:
        recommender: whose recommendation it is.
        dataset: its data.
        occasion: the list that the item stands in.
        request: the question as it was asked.
        progress: called while a language model reads prompts, as of `PromptScores`.

    Raises:
        UnsupportedError: for a hosted model, which gives no reasons.
    """

    def __init__(
        self,
        recommender: Recommender,
        dataset: Dataset,
        occasion: Occasion,
        request: ExplainRequest,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._progress = progress
        require_scored_here(recommender)
        self.recommender, self.dataset = recommender, dataset
        self.occasion, self.request = occasion, request
        self.notes = list(occasion.notes)
        self.item = item_of(dataset, request.item, "item")
        self.against = (
            None if request.against is None else item_of(dataset, request.against, "against")
        )
        if self.against == self.item:
            raise UsageError(t("'item' and 'against' are the same item; name two different ones"))
        shown = items_of(dataset, request.listed, "listed")
        self.listed = [item for item in shown if item not in (self.item, self.against)]
        self.list_score = self._list_score()
        self.parts = self._parts()
        self.reader = next(
            (part for part in self.parts if isinstance(part.recommender, ReadsPrompts)), None
        )
        self.reads_lists = any(isinstance(part.recommender, HoldsList) for part in self.parts)
        self._check()
        longest = max(part.reads for part in self.parts)
        self.items = occasion.history[len(occasion.history) - longest :]
        self.players = self._players()
        self._games: dict[str, Game] = {}

    @property
    def others(self) -> list[int]:
        """The rival and the rest of the list: scored in the same passes."""
        return [*([] if self.against is None else [self.against]), *self.listed]

    def _list_score(self) -> ListScore | None:
        if not isinstance(self.recommender, ScoresLists):
            return None
        history, candidates = self.occasion.history, self.occasion.candidates
        score = self.recommender.list_score(history, candidates)
        routed = routed_requests(self.recommender, [history], candidates[None])
        if routed is not None and not routed[0]:
            self.notes.append(
                Note(
                    marked(
                        "The gate of this cascade did not pass this request on to its language "
                        "model: the order is the retriever's, and so are the reasons."
                    )
                )
            )
        heard = (part.recommender for part in score.parts if part.weights.any())
        for held in (reader for reader in heard if isinstance(reader, HoldsList)):
            self.notes.append(
                Note(
                    marked(
                        "The language model reads its {count} candidates together; they are held "
                        "as they were, and only the history changes."
                    ),
                    {"count": len(held.held_items)},
                )
            )
        if not isinstance(self.recommender, ReadsLists):
            self.notes.append(
                Note(
                    marked(
                        "The scale of the list, means and spreads over its {count} candidates, is "
                        "held as it was when the list was made."
                    ),
                    {"count": len(candidates)},
                )
            )
        return score

    def _parts(self) -> list[Part]:
        """Who has a say in the scores of the items asked about; who reads prompts comes first."""
        history = self.occasion.history
        if self.list_score is None:
            return [Part("", self.recommender, items_read(self.recommender, history))]
        offered = np.isin(self.occasion.candidates, [self.item, *self.others])
        heard = [part for part in self.list_score.parts if part.weights[offered].any()]
        parts = [
            Part(part.role, part.recommender, items_read(part.recommender, history))
            for part in heard or self.list_score.parts[:1]
        ]
        return sorted(parts, key=lambda part: not isinstance(part.recommender, ReadsPrompts))

    def _check(self) -> None:
        if self.decoder and self.listed:
            self.listed = []
            self.notes.append(
                Note(
                    marked(
                        "A decoder reads every further item of the list at full price, so only "
                        "this item is scored; name a rival to see what would change the order."
                    )
                )
            )
        if self.reads_lists and self.request.baseline == "mask":
            raise UnsupportedError(
                t(
                    "the baseline 'mask' puts a token in an item's place, and a model that reads "
                    "whole lists is only asked with other histories; choose 'remove' or 'average'"
                )
            )
        if self.request.baseline == "mask" and self.reader is None:
            raise UnsupportedError(
                t("the baseline 'mask' needs a model that reads text; choose 'remove' or 'average'")
            )
        if self.request.target == "probability" and isinstance(self.recommender, ReadsLists):
            raise UnsupportedError(
                t(
                    "this run scores in logarithms of an item's probability among its list, and "
                    "the target 'probability' is that of a yes; ask for the target 'score'"
                )
            )
        if self.request.target == "probability" and self.list_score is not None:
            raise UnsupportedError(
                t(
                    "this run scores in standard deviations of its list, which are no "
                    "probabilities; ask for the target 'score'"
                )
            )

    @property
    def decoder(self) -> bool:
        """Whether a decoder reads the prompts."""
        reader = self.reader.recommender if self.reader else None
        return isinstance(reader, ReadsPrompts) and reader.layout.decoder

    def _players(self) -> tuple[Player, ...]:
        kinds = list(self.request.players)
        if "history" in kinds and not len(self.items):
            self.notes.append(
                Note(
                    marked(
                        "The history is empty, so only the candidate's own fields can be reasons."
                    )
                )
            )
            kinds = ["fields"]
        players: list[Player] = []
        if "user" in kinds:
            players += self._user_players()
        if "history" in kinds:
            players += self._history_players()
        reader = self.reader.recommender if self.reader else None
        if "fields" in kinds and isinstance(reader, ReadsPrompts):
            relations = relations_read(reader.layout, self.dataset, self.item)
            players += field_players(
                self.dataset, self.item, genres=not self.decoder, relations=relations
            )
        elif "fields" in kinds and self.reads_lists:
            self.notes.append(
                Note(
                    marked(
                        "This model reads whole lists: a candidate's fields cannot be left out "
                        "without another list, so only history items are reasons."
                    )
                )
            )
        elif "fields" in kinds:
            self.notes.append(
                Note(
                    marked(
                        "This recommender reads item ids, not text: a candidate has no fields to "
                        "leave out."
                    )
                )
            )
        return tuple(players)

    def _user_players(self) -> tuple[Player, ...]:
        players = user_players(self.dataset, self.occasion.user, self.request.attributes)
        if self.reads_lists:
            raise UsageError(
                t(
                    "a model that reads whole lists is only asked with other histories, so a "
                    "person's attributes cannot be put into its prompt; ask for players 'history'"
                )
            )
        if self.reader is None:
            raise UsageError(
                t(
                    "a person's attributes can only be put into a prompt, and this recommender "
                    "reads item ids; ask for players 'history'"
                )
            )
        self.notes.append(
            Note(
                marked(
                    "The user's attributes are put into the prompt for this explanation; the model "
                    "does not read them otherwise, so the score differs from the list's."
                )
            )
        )
        return players

    def _history_players(self) -> tuple[Player, ...]:
        limit, group_by = self.request.max_players or MAX_PLAYERS, self.request.group_by
        players = history_players(self.dataset, self.items, limit=limit, group_by=group_by)
        if any(player.kind == "group" for player in players):
            by = {"recency": marked("by recency"), "genre": marked("by genre")}[group_by]
            self.notes.append(
                Note(
                    marked(
                        "The {items} history items are grouped into {groups} {by}: a group comes "
                        "and goes as one."
                    ),
                    {"items": len(self.items), "groups": len(players), "by": t(by)},
                )
            )
        if len(self.items) < len(self.occasion.history):
            self.notes.append(
                Note(
                    marked(
                        "The model reads the last {read} of {all} history items; older ones "
                        "cannot be reasons."
                    ),
                    {"read": len(self.items), "all": len(self.occasion.history)},
                )
            )
        return players

    # ── the game ─────────────────────────────────────────────────────────────────────────────────

    def game(self, baseline: Baseline | None = None) -> Game:
        """The game of this prompt, with all that earlier questions have scored.

        Args:
            baseline: in place of the question's own.
        """
        baseline = baseline or self.request.baseline
        if baseline not in self._games:
            games = {part.role: self.game_of(part, baseline) for part in self.parts}
            self._games[baseline] = (
                games[""]
                if self.list_score is None
                else ListGame(self.list_score, self.occasion.candidates, games)
            )
        return self._games[baseline]

    def game_of(self, part: Part, baseline: Baseline) -> Coalitions:
        """The game of one part's own score."""
        shift = len(self.items) - part.reads
        items, players = self.items[shift:], self._players_of(part)
        avoided, stand_ins = -1, None
        if baseline == "average":
            avoided = self.item  # no stand-in may be the item itself
            repeats = self.occasion.repeats
            stand_ins = backgrounds(self.dataset, len(self.items), avoid=avoided, repeats=repeats)[
                :, shift:
            ]
        scores: Scores
        if isinstance(part.recommender, ReadsPrompts):
            from llmrec_core.explain.prompt_scores import PromptScores

            scores = PromptScores(
                part.recommender,
                items,
                players,
                baseline=baseline,
                stand_ins=stand_ins,
                progress=self._progress,
            )
        else:
            scores = HistoryScores(part.recommender, items, players, stand_ins)
        key = (tuple(items.tolist()), players, baseline, avoided, self.dataset.content_hash)
        return Coalitions(self.players, scores, MEMORY.rows(part.recommender, key))

    def _players_of(self, part: Part) -> tuple[Player, ...]:
        """The players with places counted in what this part reads."""
        shift = len(self.items) - part.reads
        return tuple(_placed(player, shift) for player in self.players)

    def prompt_scores(self, part: Part) -> PromptScores:
        """What scores prompts of the part that reads them, absent parts left out."""
        from llmrec_core.explain.prompt_scores import PromptScores

        assert isinstance(part.recommender, ReadsPrompts), "it reads prompts"
        items = self.items[len(self.items) - part.reads :]
        return PromptScores(part.recommender, items, self._players_of(part))

    # ── its answer ───────────────────────────────────────────────────────────────────────────────

    def explain(self, item: int, together: Sequence[int] = ()) -> Explanation:
        """One explanation with this question's target and effort.

        Args:
            item: code of the item, of this list.
            together: further items scored in the same passes.
        """
        explanation = self._closed_form(item)
        if explanation is None:
            explanation = self._sampled(self.game(), item, together)
        return self.named(explanation, item)

    def named(self, explanation: Explanation, item: int) -> Explanation:
        """The explanation with the names of its item, and with whose score it is."""
        game = self.game()
        return replace(
            explanation,
            item_id=id_of(self.dataset, item),
            title=title_of(self.dataset, item),
            shares=game.shares(item) if isinstance(game, ListGame) else {},
        )

    def explain_part(self, part: Part) -> Explanation:
        """The values of one part's own score of the item, before it is weighed into a list's."""
        return self._sampled(self.game_of(part, self.request.baseline), self.item)

    def weight_of(self, part: Part) -> float:
        """What one unit of a part's own score adds to the score of the item."""
        game = self.game()
        return game.weights(self.item).get(part.role, 0.0) if isinstance(game, ListGame) else 1.0

    def _sampled(self, game: Game, item: int, together: Sequence[int] = ()) -> Explanation:
        budget, error = self._effort()
        return explain(
            game,
            item,
            together=together,
            target=self.request.target,
            budget=budget,
            error=error,
            seed=self.request.seed,
            baseline=self.request.baseline,
        )

    def _closed_form(self, item: int) -> Explanation | None:
        """Exact values without enumeration, where every part sums single items."""
        single = all(player.kind == "item" for player in self.players)
        plain = self.request.baseline == "remove" and self.request.target == "score"
        if not (single and plain and len(self.players) > MAX_EXACT):
            return None
        decays = {
            part.role: part.recommender.item_decay()
            for part in self.parts
            if isinstance(part.recommender, SumsItems)
        }
        game = self.game()
        if len(decays) < len(self.parts):
            return None
        if not isinstance(game, ListGame):
            return explain_decayed(game, item, decays[""])
        weights = game.weights(item)
        own = [explain_decayed(game.games[role], item, decays[role]) for role in weights]
        return combine(own, list(weights.values()), game.offset(item)) if own else None

    def _effort(self) -> tuple[int | None, float]:
        """Budget and error as asked, else what answers within seconds."""
        budget, count = self.request.budget, len(self.players)
        if self.request.error is not None:
            return budget, self.request.error
        if budget is None and (self.reader is not None or self.reads_lists):
            usual = DECODER_BUDGET if self.decoder or self.reads_lists else ENCODER_BUDGET
            budget = max(usual, count + 2)
        return budget, 0.0 if count <= MAX_EXACT else USUAL_ERROR


def _placed(player: Player, shift: int) -> Player:
    """A player as a part sees it that does not read the `shift` oldest items."""
    if not shift:
        return player
    kept = [
        (place - shift, item)
        for place, item in zip(player.places, player.items, strict=True)
        if place >= shift
    ]
    return replace(player, places=tuple(p for p, _ in kept), items=tuple(item for _, item in kept))
