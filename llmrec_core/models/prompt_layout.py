"""From items to token ids, with each item's place known.

Every item is tokenised once for the catalogue; a prompt is a concatenation of those pieces. So
removing an item from a history is removing its piece, all modes read exactly the same tokens, and
an explanation's player is a span of ids, not a guess from characters.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from llmrec_core.errors import DataError, UnsupportedError, UsageError
from llmrec_core.language import t

MAX_ITEM_TOKENS = 32
"""A longer title is cut: some products have titles of 800 characters, which say no more."""
NO_END = -1
"""Stands for the end of an item where the tokenizer has no one token for it."""


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


@dataclass(frozen=True)
class Frame:
    """The special tokens that a tokenizer puts around a pair of texts."""

    opening: list[int]
    between: list[int]
    ending: list[int]


class PromptLayout:
    """Token ids of histories and candidates for one tokenizer and one catalogue."""

    def __init__(
        self,
        tokenizer: Any,  # noqa: ANN401 - tokenizers share no useful type
        *,
        decoder: bool,
        history_texts: Sequence[str],
        candidate_texts: Sequence[str],
        history_items: int,
        max_tokens: int,
    ) -> None:
        """Tokenise a catalogue.

        Args:
            tokenizer: of the backbone.
            decoder: whether the backbone is a causal language model.
            history_texts: of every item, as a history shows it.
            candidate_texts: of every item, as a candidate.
            history_items: most recent items that a prompt shows.
            max_tokens: the longest sequence that the backbone reads.

        Raises:
            UsageError: when there are not as many texts of both kinds.
            DataError: when no item has a title.
            UnsupportedError: when the tokenizer has no special tokens for a pair, or the context
                is too short for a candidate.
        """
        if len(history_texts) != len(candidate_texts):
            raise UsageError(
                t(
                    "{histories} history texts and {candidates} candidate texts: expected one "
                    "each per item",
                    histories=len(history_texts),
                    candidates=len(candidate_texts),
                )
            )
        if candidate_texts and not any(text.strip() for text in candidate_texts):
            raise DataError(
                t(
                    "no item has a title, and a text model reads titles; use an id model (sasrec, "
                    "ease, item-knn)"
                )
            )
        self.history_items, self.max_tokens, self.decoder = history_items, max_tokens, decoder
        self.template = self._words()
        structure = [*_special_tokens(tokenizer), *([] if decoder else [ENCODER.item_end])]
        self._special = re.compile("|".join(re.escape(part) for part in structure) or r"(?!)")
        self._tokenizer = tokenizer
        self._set_fixed_words()
        template = self.template
        histories = self._ids([template.item_start + self.clean(text) for text in history_texts])
        self.candidate_texts = [self.clean(text) for text in candidate_texts]
        """Of every item as a candidate, as it is cut into tokens."""
        candidates = self._candidate_rows(self.candidate_texts)
        self.pieces = [row[:MAX_ITEM_TOKENS] + self._item_ending for row in histories]
        self.candidates = [row[:MAX_ITEM_TOKENS] + self._ending for row in candidates]
        self.cut = sum(len(row) > MAX_ITEM_TOKENS for row in candidates)
        """Items whose text is longer than what is read of it."""
        self.cut_alike = self.cut and _alike(candidates)
        """Items that are told apart only by what is cut."""
        self.candidate_lengths = np.array([len(row) for row in self.candidates])
        self.longest_candidate = int(self.candidate_lengths.max()) if len(self.candidates) else 0
        self._grid: tuple[np.ndarray, np.ndarray] | None = None
        self._require_room()

    def _words(self) -> Template:
        """The fixed words around items."""
        return DECODER if self.decoder else ENCODER

    def _candidate_rows(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each cleaned text as a candidate, its ending left out."""
        return self._ids([self.template.candidate_start + text for text in texts])

    @property
    def reserved(self) -> int:
        """Tokens of a prompt that no history item may take: fixed words and what is offered."""
        return len(self.opening) + len(self.closing) + self.longest_candidate

    def _require_room(self) -> None:
        """Refuse a context that is too short for a candidate."""
        if self.reserved > self.max_tokens:
            raise UnsupportedError(
                t(
                    "the longest candidate and the fixed words take {shortest} tokens, the "
                    "backbone reads {max_tokens}: choose a backbone with a longer context, or "
                    "shorten the titles",
                    shortest=self.reserved,
                    max_tokens=self.max_tokens,
                )
            )

    def _set_fixed_words(self) -> None:
        """Token ids of the template, and of the special tokens around it."""
        template, tokenizer = self.template, self._tokenizer
        self._item_ending = self._ids_of(template.item_end)
        self.item_end = NO_END
        """The token that ends an item of an encoder's history and stands nowhere else.

        `NO_END` for a decoder, whose ends differ, and where a tokenizer cuts it into several.
        """
        if self.decoder:
            self.opening, self.closing = (
                self._ids_of(template.opening),
                self._ids_of(template.closing),
            )
            if tokenizer.bos_token_id is not None:
                self.opening = [tokenizer.bos_token_id, *self.opening]
            self._ending = self._ids_of(template.candidate_end)
            return
        frame = frame_of(tokenizer)
        self.opening, self.closing, self._ending = frame.opening, frame.between, frame.ending
        if len(self._item_ending) == 1 and self._item_ending[0] != tokenizer.unk_token_id:
            self.item_end = self._item_ending[0]

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        rows: list[list[int]] = self._tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return rows

    def _ids_of(self, text: str) -> list[int]:
        return self._ids([text])[0]

    @property
    def fingerprint(self) -> str:
        """Changes with the words of the prompt and how they are cut: 16 hexadecimal digits."""
        fixed = (self.opening, self.closing, self._item_ending, self._ending)
        rules = (*astuple(self.template), MAX_ITEM_TOKENS, self.history_items, self.max_tokens)
        return hashlib.sha256(repr((fixed, rules)).encode()).hexdigest()[:16]

    def clean(self, text: str) -> str:
        """One line without special tokens and an encoder's end of item: text is never structure."""
        return " ".join(self._special.sub(" ", text).split())

    def cut_note(self) -> str:
        """How many texts are cut, and at how many tokens; empty when none is."""
        if not self.cut:
            return ""
        return t(
            "{cut:,} of {total:,} item texts are cut at {tokens} tokens; {alike:,} of them differ "
            "from another one only in what is cut",
            cut=self.cut,
            total=len(self.candidates),
            tokens=MAX_ITEM_TOKENS,
            alike=self.cut_alike,
        )

    def keep(self, history: Sequence[int] | np.ndarray) -> list[int]:
        """The most recent items of a history that fit the prompt and the context, oldest first."""
        room = self.max_tokens - self.reserved
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
        return [
            *self.opening,
            *(token for item in items for token in self.pieces[item]),
            *self.closing,
        ]


def _alike(rows: Sequence[Sequence[int]]) -> int:
    """How many long rows share their first `MAX_ITEM_TOKENS` tokens with another, different row."""
    endings: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for row in rows:
        if len(row) > MAX_ITEM_TOKENS:
            endings.setdefault(tuple(row[:MAX_ITEM_TOKENS]), set()).add(tuple(row))
    return sum(len(whole) for whole in endings.values() if len(whole) > 1)


def _special_tokens(tokenizer: Any) -> list[str]:  # noqa: ANN401 - tokenizers share no useful type
    """Every token that is structure, longest first, also those without a role of their own.

    `all_special_tokens` leaves those out: Gemma's <start_of_turn>, a chat's <|im_start|>.
    """
    added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    return sorted({*tokenizer.all_special_tokens, *added}, key=lambda token: (-len(token), token))


def frame_of(tokenizer: Any) -> Frame:  # noqa: ANN401 - tokenizers share no useful type
    """The special tokens around and between two texts, as the tokenizer itself puts them.

    A tokenizer that puts none is given its tokens for the beginning and the end of a text.

    Raises:
        UnsupportedError: when it has no such tokens either.
    """
    first, second = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in "ab")
    pair = tokenizer("a", "b", add_special_tokens=True)["input_ids"]
    start = _place(pair, first, 0)
    stop = start + len(first)
    other = _place(pair, second, stop)
    frame = Frame(pair[:start], pair[stop:other], pair[other + len(second) :])
    if frame.opening and frame.between and frame.ending:
        return frame
    begin, end = tokenizer.cls_token_id, tokenizer.sep_token_id
    if begin is None or end is None:
        raise UnsupportedError(
            t(
                "the tokenizer {tokenizer} has no special tokens for the beginning and the end of "
                "a text (cls_token, sep_token), which an encoder needs; restore its "
                "special_tokens_map.json or use another backbone",
                tokenizer=f"{type(tokenizer).__name__} ({tokenizer.name_or_path})",
            )
        )
    return Frame([begin], [end], [end])


def _place(row: list[int], part: list[int], start: int) -> int:
    """Where `part` stands in `row`, from `start` on."""
    for place in range(start, len(row) - len(part) + 1):
        if row[place : place + len(part)] == part:
            return place
    return len(row)


def pad(rows: Sequence[Sequence[int]], width: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Right-padded ids (rows, width) and their mask, True at real tokens.

    Args:
        rows: token ids.
        width: at least so wide.
    """
    width = max(width, max((len(row) for row in rows), default=1), 1)
    tokens = np.zeros((len(rows), width), dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=bool)
    for number, row in enumerate(rows):
        tokens[number, : len(row)] = row
        mask[number, : len(row)] = True
    return tokens, mask
