"""From items to token ids, with each item's place known.

Every item is tokenised once for the catalogue; a prompt is a concatenation of those pieces. So removing an item from
a history is removing its piece, `full` and `shared` read exactly the same tokens, and an explanation's player is a
span of ids, not a guess from characters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmrec_core.errors import DataError, UnsupportedError, UsageError

MAX_ITEM_TOKENS = 32
"""A longer title is cut: product titles of 800 characters exist, and say no more than their beginning."""


@dataclass(frozen=True)
class Template:
    """The fixed words around items; data never goes anywhere but between them."""

    opening: str
    item_start: str
    item_end: str
    closing: str
    candidate_start: str
    candidate_end: str


ENCODER = Template("", "", ";", "", "", "")
DECODER = Template(
    opening="A person chose these, oldest first:\n",
    item_start="- ",
    item_end="\n",
    closing="Would the same person choose this next?\n",
    candidate_start="- ",
    candidate_end="\nAnswer:",
)


class PromptLayout:
    """Token ids of histories and candidates for one tokenizer and one catalogue."""

    def __init__(
        self,
        tokenizer: Any,
        *,
        decoder: bool,
        history_texts: Sequence[str],
        candidate_texts: Sequence[str],
        history_items: int,
        max_tokens: int,
    ) -> None:
        if len(history_texts) != len(candidate_texts):
            raise UsageError(
                f"{len(history_texts)} history texts and {len(candidate_texts)} candidate texts: expected one each per item"
            )
        empty = sum(not text.strip() for text in candidate_texts)
        if candidate_texts and empty == len(candidate_texts):
            raise DataError(
                "no item has a title, and a text model reads titles; use an id model (sasrec, ease, item-knn)"
            )
        self.history_items = history_items
        self.max_tokens = max_tokens
        self.decoder = decoder
        template = DECODER if decoder else ENCODER
        structure = [*tokenizer.all_special_tokens, *([] if decoder else [template.item_end])]
        self._special = re.compile("|".join(re.escape(t) for t in structure) or r"(?!)")

        def ids(texts: Sequence[str]) -> list[list[int]]:
            if not texts:
                return []
            return tokenizer(list(texts), add_special_tokens=False)["input_ids"]

        end_ids = dict(
            zip(("item", "candidate"), ids([template.item_end or "", template.candidate_end or ""]), strict=True)
        )
        histories = ids([template.item_start + self.clean(t) for t in history_texts])
        candidates = ids([template.candidate_start + self.clean(t) for t in candidate_texts])
        self.pieces = [row[:MAX_ITEM_TOKENS] + end_ids["item"] for row in histories]
        self.item_end = -1 if decoder else end_ids["item"][0]
        """The token that ends an item of an encoder's history and stands nowhere else; a decoder's ends differ."""
        if decoder:
            self.opening, self.closing = ids([template.opening, template.closing])
            if tokenizer.bos_token_id is not None:
                self.opening = [tokenizer.bos_token_id, *self.opening]
            ending = end_ids["candidate"]
        else:
            self.opening, self.closing, ending = (
                [tokenizer.cls_token_id],
                [tokenizer.sep_token_id],
                [tokenizer.sep_token_id],
            )
        self.candidates = [row[:MAX_ITEM_TOKENS] + ending for row in candidates]
        self.candidate_lengths = np.array([len(row) for row in self.candidates])
        self.longest_candidate = int(self.candidate_lengths.max()) if len(self.candidates) else 0
        self._grid: tuple[np.ndarray, np.ndarray] | None = None
        shortest = len(self.opening) + len(self.closing) + self.longest_candidate
        if shortest > max_tokens:
            raise UnsupportedError(
                f"the longest candidate and the fixed words take {shortest} tokens, the backbone reads {max_tokens}: "
                "choose a backbone with a longer context, or shorten the titles"
            )

    def clean(self, text: str) -> str:
        """One line without special tokens and an encoder's end of item: item text is data, never structure."""
        return " ".join(self._special.sub(" ", text).split())

    def keep(self, history: Sequence[int] | np.ndarray) -> list[int]:
        """The most recent items of a history that fit the prompt and the context, oldest first."""
        room = self.max_tokens - len(self.opening) - len(self.closing) - self.longest_candidate
        kept: list[int] = []
        for item in reversed(list(history)[-self.history_items :]):
            room -= len(self.pieces[item])
            if room < 0:
                break
            kept.append(int(item))
        return kept[::-1]

    def history(self, history: Sequence[int] | np.ndarray) -> list[int]:
        """Token ids of the shared part for the items that `keep` keeps."""
        return self.assemble(self.keep(history))

    def candidate_grid(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Right-padded token ids (items, longest) of item codes and their mask."""
        if self._grid is None:
            self._grid = pad(self.candidates)
        width = int(self.candidate_lengths[items].max())
        tokens, mask = self._grid
        return tokens[items, :width], mask[items, :width]

    def assemble(self, items: Sequence[int] | np.ndarray) -> list[int]:
        """Token ids of the shared part for exactly these items (a coalition, in order)."""
        return [*self.opening, *(token for item in items for token in self.pieces[item]), *self.closing]


def pad(rows: Sequence[Sequence[int]], width: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Right-padded ids (rows, width) and their mask, True at real tokens."""
    width = max(width, max((len(row) for row in rows), default=1), 1)
    tokens = np.zeros((len(rows), width), dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=bool)
    for number, row in enumerate(rows):
        tokens[number, : len(row)] = row
        mask[number, : len(row)] = True
    return tokens, mask
