"""What a decoder with the head `letters` can be asked: one letter a candidate, and no more.

It orders a whole list in one prompt, so a run is refused here, before it is queued, where its lists
would be longer than the alphabet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmrec_core.contract.endpoint import FEWEST_LETTERS, LETTERS
from llmrec_core.contract.families import recorded_family
from llmrec_core.errors import UsageError
from llmrec_core.language import t

if TYPE_CHECKING:
    from llmrec_core.contract.spec import RecommenderSpec, RunSpec

HEAD = "letters"
"""As `recommender.head` names it."""


def offered(candidates: str) -> int | None:
    """Candidates that a protocol offers, `None` where its name does not say.

    >>> offered("20-uniform"), offered("full")
    (20, None)
    """
    count = candidates.partition("-")[0]
    return int(count) if count.isdecimal() else None


def fits_letters(candidates: str) -> bool:
    """Whether a protocol's lists are known to be no longer than the alphabet.

    >>> fits_letters("20-uniform"), fits_letters("100-uniform"), fits_letters("given-ours")
    (True, False, True)
    """
    count = offered(candidates)
    return candidates.startswith("given-") if count is None else count <= len(LETTERS)


def lists_catalogue(chosen: RecommenderSpec) -> bool:
    """Whether a recommender can order a whole catalogue: letters need a retriever's best few."""
    return chosen.head != HEAD or bool(chosen.retriever)


def most_listed(spec: RunSpec) -> int:
    """Candidates of the longest list that a run's reader will see, in training or serving."""
    chosen, training = spec.recommender, spec.training
    served = chosen.rerank_k if chosen.retriever else offered(spec.protocol.candidates)
    taught = training.positives + training.negatives if chosen.adaptation != "none" else 0
    return min(max(served or len(LETTERS), taught), len(LETTERS))


def require_letters(chosen: RecommenderSpec) -> None:
    """Refuse a recommender of which the head `letters` makes no sense.

    Raises:
        UsageError: naming the field and what it may be.
    """
    group = recorded_family(chosen.family).group
    if chosen.head != HEAD:
        if "orders" in chosen.options and group == "decoder":
            raise UsageError(
                t(
                    "recommender.options has 'orders', at which head {head!r} does not look: it "
                    "reads every candidate alone; leave it out, or use head = 'letters'",
                    head=chosen.head,
                )
            )
        return
    if group not in ("decoder", "cascade"):
        raise UsageError(
            t(
                "recommender.head 'letters' orders a whole list with a causal language model, and "
                "{family!r} is none; use recommender.family 'decoder'",
                family=chosen.family,
            )
        )
    if chosen.history_attention != "shared":
        raise UsageError(
            t(
                "recommender.history_attention {mode!r} contradicts recommender.head 'letters', "
                "which reads all candidates after one history; use 'shared'",
                mode=chosen.history_attention,
            )
        )
    if {"exit_layer", "exit_keep"} & set(chosen.options):
        raise UsageError(
            t(
                "recommender.options has 'exit_layer' or 'exit_keep', which leave single "
                "candidates unread, and head 'letters' reads all of them at once; leave them out"
            )
        )
    require_few(chosen)


def require_few(chosen: RecommenderSpec) -> None:
    """Refuse a cascade that would leave its reader more candidates than there are letters.

    Args:
        chosen: whose reader has the head `letters`, its own or that of another run.

    Raises:
        UsageError: with both numbers.
    """
    if not chosen.retriever or FEWEST_LETTERS <= chosen.rerank_k <= len(LETTERS):
        return
    raise UsageError(
        t(
            "recommender.rerank_k is {count}; a decoder with head 'letters' orders {low} to "
            "{high} candidates, since each has a letter of its own",
            count=chosen.rerank_k,
            low=FEWEST_LETTERS,
            high=len(LETTERS),
        )
    )


def require_teacher(chosen: RecommenderSpec, name: str) -> None:
    """Refuse a teacher that cannot say what it would list of a whole catalogue.

    Args:
        chosen: the teacher's.
        name: of its run.

    Raises:
        UsageError: naming the run.
    """
    if not lists_catalogue(chosen):
        raise UsageError(
            t(
                "weights_from is {name!r}, whose head 'letters' orders {most} items at most, and a "
                "student learns lists of the whole catalogue; name a cascade over that run",
                name=name,
                most=len(LETTERS),
            )
        )


def require_taught(spec: RunSpec, negatives: int) -> None:
    """Refuse lists that are longer than those which the model was trained on.

    A letter that never stood before the right answer gets whatever it had before the training.

    Args:
        spec: says how long the lists in serving are.
        negatives: items beside the right one in a list of the training.

    Raises:
        UsageError: with both lengths.
    """
    chosen = spec.recommender
    served = chosen.rerank_k if chosen.retriever else offered(spec.protocol.candidates)
    if served is not None and served > 1 + negatives:
        raise UsageError(
            t(
                "lists of {served} candidates are to be ordered, and training.negatives "
                "{negatives} teaches only {taught} letters; train with negatives = {wanted}, or "
                "offer fewer",
                served=served,
                negatives=negatives,
                taught=1 + negatives,
                wanted=served - 1,
            )
        )


def require_lists_fit(spec: RunSpec) -> None:
    """Refuse a run whose lists, in serving or in training, have more items than there are letters.

    Raises:
        UsageError: naming the field.
    """
    chosen, training, protocol = spec.recommender, spec.training, spec.protocol
    if chosen.head != HEAD:
        return
    if not chosen.retriever and (not fits_letters(protocol.candidates) or protocol.also_full):
        raise UsageError(
            t(
                "protocol.candidates {candidates!r} offers more candidates than a decoder with "
                "head 'letters' has letters ({most}), so alone it cannot order them; name "
                "recommender.retriever and rerank_k, or offer fewer, e.g. '20-uniform'",
                candidates="full" if fits_letters(protocol.candidates) else protocol.candidates,
                most=len(LETTERS),
            )
        )
    if chosen.adaptation == "none" or spec.weights_from:
        return
    if training.objective != "listwise":
        raise UsageError(
            t(
                "training.objective is {objective!r}; head 'letters' learns which letter the next "
                "item stands under, which is objective 'listwise'",
                objective=training.objective,
            )
        )
    require_taught(spec, training.negatives)
    if training.positives != 1 or 1 + training.negatives > len(LETTERS):
        raise UsageError(
            t(
                "training.positives is {positives} and training.negatives {negatives}; head "
                "'letters' learns from lists of one item that followed and up to {most} others",
                positives=training.positives,
                negatives=training.negatives,
                most=len(LETTERS) - 1,
            )
        )
