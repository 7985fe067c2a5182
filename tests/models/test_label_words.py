"""A label is one known token, as it stands after the prompt that it follows."""

import pytest

from llmrec_core.errors import UnsupportedError
from llmrec_core.models.heads import LABELS
from llmrec_core.models.label_words import label_tokens
from llmrec_core.models.prompt_layout import DECODER
from tests.peers.model_folders import byte_pairs, unigrams

BEFORE = DECODER.candidate_end


@pytest.mark.parametrize("tokenizer", [unigrams("llama"), byte_pairs("gpt")])
def test_labels_are_cut_together_with_what_they_follow(tokenizer):
    yes, no = label_tokens(tokenizer, BEFORE, LABELS)
    whole = tokenizer(f"{BEFORE} Yes", add_special_tokens=False)["input_ids"]
    assert whole[-1] == yes != no
    assert tokenizer.decode([yes]).strip() == "Yes"


def test_a_space_of_its_own_is_no_label():
    """Cut alone, " Yes" and " No" both begin with the piece of a space."""
    tokenizer = unigrams("llama")
    firsts = {tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in LABELS}
    assert len(firsts) == 1


@pytest.mark.parametrize(
    "words, reason",
    [
        ((" Yes", " Perhaps"), "cuts ' Perhaps' after"),
        ((" Yes", " Yes"), "gives two of the labels"),
        ((" Yes", " 商"), "one known token"),
        ((" Yes", ""), "cuts '' after"),
    ],
)
def test_what_is_no_token_of_its_own_is_refused_by_name(words, reason):
    with pytest.raises(UnsupportedError, match=reason) as refused:
        label_tokens(unigrams("llama"), BEFORE, words)
    assert "TokenizersBackend" in str(refused.value) or "Tokenizer" in str(refused.value)
