"""What a diagnosis means, in sentences: doubts about every figure, and what it says of the data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llmrec_core.data import diagnosis
from llmrec_core.data.diagnosis import Diagnosis, Figure, Memorised, Shuffled
from llmrec_core.errors import DataError
from llmrec_core.language import marked, t, tn
from llmrec_core.reading.row import Row
from llmrec_core.settings import Settings

MANY_TIED = 0.05
"""Share of tied targets above which they are mentioned."""
ABOVE_CHANCE = 5.0
"""Times chance above which the canary is a doubt."""
MEMORISED = 0.1
"""Share of titles above which a model is said to know them by heart."""
MODELS = {
    "directed-counts": marked("directed counts"),
    "item-knn": marked("item-kNN"),
    "next-numbers": marked("the next ten item numbers"),
}


def doubts(findings: Diagnosis) -> list[str]:
    """Sentences that belong beside every figure measured on this data; none when it is clean."""
    return [*_ties(findings), *_canary(findings), *_cleaning(findings), *_memorised(findings)]


def doubts_of(content_hashes: Iterable[str], settings: Settings) -> list[str]:
    """The doubts about some versions of data sets, as far as they were diagnosed.

    Args:
        content_hashes: of the versions; anything else is passed over.
        settings: where the home is.
    """
    sentences: list[str] = []
    for content_hash in dict.fromkeys(content_hashes):
        findings = _kept(content_hash, settings)
        sentences += doubts(findings) if findings else []
    return sentences


def memorised_flags(rows: Sequence[Row], settings: Settings) -> dict[str, str]:
    """Id of a row → how much of its data's titles its language model knows by heart.

    Args:
        rows: of a study.
        settings: where the home is.

    Returns:
        The rows whose model was asked (`data diagnose NAME --model MODEL`).
    """
    flags = {}
    for row in rows:
        backbone, content_hash = row.spec.recommender.backbone, row.spec.data.content_hash
        findings = _kept(content_hash, settings) if backbone else None
        for entry in findings.memorised if findings else ():
            if entry.model == backbone:
                flags[row.run_id] = _flag(entry)
    return flags


def _flag(entry: Memorised) -> str:
    if entry.share.low > MEMORISED:
        return t(
            "memorised by {model}: {completed} of {sampled} titles",
            model=entry.model,
            completed=entry.completed,
            sampled=entry.sampled,
        )
    return t("{completed} of {sampled} titles", completed=entry.completed, sampled=entry.sampled)


def _kept(content_hash: str, settings: Settings) -> Diagnosis | None:
    """The diagnosis of a version; `None` also for what is no content hash."""
    try:
        return diagnosis.kept(content_hash, settings)
    except DataError:
        return None


def _ties(findings: Diagnosis) -> list[str]:
    ties = findings.ties
    losses = [
        model for model in ties.models if model.loss.low > 0 and model.model != "next-numbers"
    ]
    if ties.share < MANY_TIED or not losses:
        return []
    worst = max(losses, key=lambda model: model.loss.value)
    return [
        t(
            "{name}: {share:.0%} of the withheld items are decided by the order of equal times, "
            "and {ascending:.0%} of equal-time neighbours ascend by item number. NDCG@10 of "
            "{model} is {as_is:.4f}, and {shuffled:.4f} when ties are shuffled. Read the figures "
            "without the tied people too.",
            name=findings.name,
            share=ties.share,
            ascending=ties.ascending / max(ties.neighbours, 1),
            model=t(MODELS[worst.model]),
            as_is=worst.as_is.value,
            shuffled=worst.shuffled,
        )
    ]


def _canary(findings: Diagnosis) -> list[str]:
    canary = findings.next_numbers
    if canary.low <= ABOVE_CHANCE * findings.chance or canary.value <= findings.popularity.value:
        return []
    return [
        t(
            "{name}: the next ten item numbers reach NDCG@10 {value:.4f} ({low:.4f} to "
            "{high:.4f}), where chance is {chance:.4f}: item numbers give away what comes next.",
            name=findings.name,
            value=canary.value,
            low=canary.low,
            high=canary.high,
            chance=findings.chance,
        )
    ]


def _cleaning(findings: Diagnosis) -> list[str]:
    return [
        t(
            "{name}: acting on {check} ({count:,} {unit}: {rule}) moves item-kNN's NDCG@10 by "
            "{moves:+.4f} ({low:+.4f} to {high:+.4f}).",
            name=findings.name,
            check=effect.check,
            count=effect.count,
            unit=effect.unit,
            rule=t(effect.rule),
            moves=effect.moves.value,
            low=effect.moves.low,
            high=effect.moves.high,
        )
        for effect in findings.consequences
        if not _holds_zero(effect.moves)
    ]


def _memorised(findings: Diagnosis) -> list[str]:
    return [
        memory_sentence(findings, entry)
        for entry in findings.memorised
        if entry.share.low > MEMORISED
    ]


def memory_sentence(findings: Diagnosis, entry: Memorised) -> str:
    """How many titles a language model completes, and what that means."""
    values = {
        "name": findings.name,
        "model": entry.model,
        "completed": entry.completed,
        "sampled": entry.sampled,
        "low": entry.share.low,
        "high": entry.share.high,
    }
    if entry.share.low > MEMORISED:
        return t(
            "{name}: {model} completes {completed} of {sampled} titles from their first half "
            "({low:.0%} to {high:.0%}); its figures on this data may be memory.",
            **values,
        )
    return t(
        "{name}: {model} completes {completed} of {sampled} titles from their first half "
        "({low:.0%} to {high:.0%}), too few to call the catalogue memorised.",
        **values,
    )


def trained_again_sentence(name: str, trainings: int, ties: Shuffled) -> str:
    """What a trained run lost when it was trained on other orders of equal times.

    Args:
        name: of the run.
        trainings: how many orders were drawn.
        ties: what was measured.
    """
    return tn(
        "{name}: NDCG@10 {as_is:.4f} as the file is, and {shuffled:.4f} trained again on {count} "
        "other order of equal times: it loses {loss:.4f} ({low:+.4f} to {high:+.4f}, "
        "{people:,} people).",
        "{name}: NDCG@10 {as_is:.4f} as the file is, and {shuffled:.4f} trained again on {count} "
        "other orders of equal times: it loses {loss:.4f} ({low:+.4f} to {high:+.4f}, "
        "{people:,} people).",
        trainings,
        name=name,
        as_is=ties.as_is.value,
        shuffled=ties.shuffled,
        loss=ties.loss.value,
        low=ties.loss.low,
        high=ties.loss.high,
        people=ties.loss.n,
    )


def meanings(findings: Diagnosis) -> list[str]:
    """What the figures say about the data: what a trained model has to clear, and where it may."""
    floor = max(findings.directed_counts.value, findings.popularity.value)
    sentences = [
        t(
            "Without any training, directed counts reach NDCG@10 {counts:.4f} and item-kNN "
            "{knn:.4f}; popularity reaches {popularity:.4f}. A trained model has to clear "
            "{floor:.4f}.",
            counts=findings.directed_counts.value,
            knn=findings.item_knn.value,
            popularity=findings.popularity.value,
            floor=max(floor, findings.item_knn.value),
        ),
        t(
            "{share:.0%} of the withheld items came straight after the last item in somebody's "
            "history before; an item has {median:.0f} different successors (median).",
            share=findings.successors.known.value,
            median=findings.successors.median,
        ),
    ]
    if findings.likeness is not None:
        sentences.append(
            t(
                "Titles of neighbours are alike by {near:.3f} (cosine of their words), titles of "
                "any two items by {any:.3f}.",
                near=findings.likeness.neighbours.value,
                any=findings.likeness.random.value,
            )
        )
    if _holds_zero(findings.gain):
        sentences.append(
            t(
                "A longer history does not help item-kNN: reading everything instead of the last "
                "item moves it by {gain:+.4f} ({low:+.4f} to {high:+.4f}).",
                gain=findings.gain.value,
                low=findings.gain.low,
                high=findings.gain.high,
            )
        )
    else:
        sentences.append(
            t(
                "Reading the whole history instead of the last item moves item-kNN by {gain:+.4f} "
                "({low:+.4f} to {high:+.4f}).",
                gain=findings.gain.value,
                low=findings.gain.low,
                high=findings.gain.high,
            )
        )
    return sentences


def _holds_zero(figure: Figure) -> bool:
    return figure.low <= 0 <= figure.high
