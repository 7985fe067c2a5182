"""The prompt of a model that reads a whole list.

It holds a history, then candidates under letters::

    A person chose these, oldest first:
    - Heat (1995)
    Which one would the same person choose next?
     A. Fargo (1996)
     B. Alien (1979)
    Answer:

A letter follows a space in the list as after "Answer:", so that it is the same token in both. One
prompt asks about all candidates, as in LlamaRec (arXiv:2311.02089, section 3.2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from llmrec_core.contract.endpoint import LETTERS
from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.models.prompt_layout import DECODER, PromptLayout, Template

ANSWER = "Answer:"
LETTER_WORDS = tuple(f" {letter}" for letter in LETTERS)
"""The letters as they follow `ANSWER`."""
LISTED = Template(
    opening=DECODER.opening,
    item_start=DECODER.item_start,
    item_end=DECODER.item_end,
    closing="Which one would the same person choose next?\n",
    candidate_start=f"{LETTER_WORDS[0]}. ",
    candidate_end="\n",
)


class ListLayout(PromptLayout):
    """Token ids of histories and of lists for one tokenizer and one catalogue."""

    def __init__(
        self,
        tokenizer: Any,  # noqa: ANN401 - tokenizers share no useful type
        *,
        history_texts: Sequence[str],
        candidate_texts: Sequence[str],
        history_items: int,
        max_tokens: int,
        most: int,
    ) -> None:
        """Tokenise a catalogue.

        Args:
            tokenizer: of the backbone, a decoder.
            history_texts: of every item, as a history shows it.
            candidate_texts: of every item, as a candidate.
            history_items: most recent items that a prompt shows.
            max_tokens: the longest sequence that the backbone reads.
            most: candidates of the longest list that is expected; room for so many items, those
                with the longest titles, is kept free of history items.

        Raises:
            UsageError: as `PromptLayout`.
            DataError: as `PromptLayout`.
            UnsupportedError: when the context is too short for such a list.
        """
        self.most = most
        super().__init__(
            tokenizer,
            decoder=True,
            history_texts=history_texts,
            candidate_texts=candidate_texts,
            history_items=history_items,
            max_tokens=max_tokens,
        )

    def _words(self) -> Template:
        return LISTED

    def _set_fixed_words(self) -> None:
        super()._set_fixed_words()
        self.leads = self._ids([f"{word}." for word in LETTER_WORDS])
        """What stands before the first, second, … candidate of a list."""
        self.tail = self._ids_of(ANSWER)

    def _candidate_rows(self, texts: Sequence[str]) -> list[list[int]]:
        """A title is cut as it stands after a letter, and stored without that letter."""
        lead = self.leads[0]
        rows = super()._candidate_rows(texts)
        if all(row[: len(lead)] == lead for row in rows):
            return [row[len(lead) :] for row in rows]
        return self._ids(texts)  # this tokenizer melts the letter and the title into one token

    @cached_property
    def reserved(self) -> int:
        """See `PromptLayout.reserved`."""
        leads = sum(map(len, self.leads[: self.most]))
        fixed = len(self.opening) + len(self.closing) + len(self.tail)
        longest = np.sort(self.candidate_lengths)[-self.most :]
        return fixed + leads + int(longest.sum())

    def _require_room(self) -> None:
        if self.reserved > self.max_tokens:
            self._refuse_length(self.most, self.reserved)

    @property
    def fingerprint(self) -> str:
        """See `PromptLayout.fingerprint`."""
        whole = repr((super().fingerprint, self.leads, self.tail))
        return hashlib.sha256(whole.encode()).hexdigest()[:16]

    def listed(self, items: Sequence[int] | np.ndarray) -> list[int]:
        """Token ids of a list, the first item under the first letter, and of the question's end.

        Args:
            items: item codes, no more than there are letters.
        """
        body = [
            token
            for lead, item in zip(self.leads[: len(items)], items, strict=True)
            for token in (*lead, *self.candidates[item])
        ]
        return [*body, *self.tail]

    def require_fits(self, prompt: Sequence[int], row: Sequence[int], candidates: int) -> None:
        """Refuse a list that the context cannot hold beside its history.

        Args:
            prompt: token ids of the history.
            row: token ids of the list.
            candidates: how many it lists.

        Raises:
            UnsupportedError: with both lengths.
        """
        if len(prompt) + len(row) > self.max_tokens:
            self._refuse_length(candidates, len(prompt) + len(row))

    def _refuse_length(self, candidates: int, tokens: int) -> None:
        raise UnsupportedError(
            t(
                "a list of {candidates} candidates and the words around it can take {tokens} "
                "tokens, the backbone reads {max_tokens}: offer fewer candidates, choose a "
                "backbone with a longer context, or shorten the titles",
                candidates=candidates,
                tokens=tokens,
                max_tokens=self.max_tokens,
            )
        )
