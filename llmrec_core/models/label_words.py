"""Words that stand for a label, such as Yes and No: one token each, or the model is refused.

A tokenizer cuts a word by what stands before it. Those in the manner of SentencePiece (Llama 2,
Mistral 7B) write a space as a piece of its own when the word is cut alone, so that the first piece
of " Yes" is that of " No". Therefore a word is tokenised together with what it follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t


def label_tokens(tokenizer: Any, before: str, words: Sequence[str]) -> list[int]:  # noqa: ANN401 - tokenizers share no useful type
    """The one token of each word as it stands after `before`.

    Args:
        tokenizer: of the backbone.
        before: the text that the words follow, e.g. "Answer:".
        words: with the space that parts them from it, e.g. " Yes".

    Returns:
        Token ids in the order of the words, no two alike.

    Raises:
        UnsupportedError: when a word is not one token there, is unknown, or two are the same.
    """
    lead = tokenizer(before, add_special_tokens=False)["input_ids"]
    tokens = []
    for word in words:
        whole = tokenizer(before + word, add_special_tokens=False)["input_ids"]
        own = whole[len(lead) :]
        if whole[: len(lead)] != lead or len(own) != 1 or own[0] == tokenizer.unk_token_id:
            raise UnsupportedError(
                t(
                    "the tokenizer {tokenizer} cuts {word!r} after {before!r} into {pieces}; a "
                    "label has to be one known token of its own: use another backbone, or a head "
                    "that is trained",
                    tokenizer=_named(tokenizer),
                    word=word,
                    before=before,
                    pieces=tokenizer.convert_ids_to_tokens(whole[max(len(lead) - 1, 0) :]),
                )
            )
        tokens.append(int(own[0]))
    if len(set(tokens)) < len(tokens):
        raise UnsupportedError(
            t(
                "the tokenizer {tokenizer} gives two of the labels {words} one token, so that they "
                "cannot be told apart; use another backbone, or a head that is trained",
                tokenizer=_named(tokenizer),
                words=", ".join(repr(word) for word in words),
            )
        )
    return tokens


def _named(tokenizer: Any) -> str:  # noqa: ANN401 - tokenizers share no useful type
    return f"{type(tokenizer).__name__} ({tokenizer.name_or_path})"
