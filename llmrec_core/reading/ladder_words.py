"""A ladder of sizes in sentences; `ladder.py` decides, and `ladder_tables.py` lists the figures."""

from __future__ import annotations

from llmrec_core.language import marked, t, tn
from llmrec_core.metrics.intervals import Difference
from llmrec_core.reading import number_format
from llmrec_core.reading.comparison import comparability, spread
from llmrec_core.reading.ladder import WORSE, Ladder, Model, Size
from llmrec_core.reading.pareto import METRICS
from llmrec_core.reading.people import MIN_PEOPLE
from llmrec_core.reading.stability import MOST, settle_words
from llmrec_core.reading.table import UNKNOWN

CAPTION = marked(
    "Differences are paired over the same people, with 95 % intervals of one comparison each. "
    "Shown: the whole interval against the best of the same model lies at or above minus the "
    "margin (non-inferiority); that it contains 0 is not enough."
)
AS_MODELS = marked(
    "Models as models, each at the largest size measured. They differ in training data, tokenizer "
    "and architecture too, so nothing here says what size does."
)


def size_words(size: Size) -> str:
    """`4 layers`, or `all layers` where their number is not known."""
    if size.layers is None:
        return t("all layers")
    return tn("{count} layer", "{count} layers", size.layers)


def gap_words(gap: Difference | None) -> str:
    """`+0.012 (-0.003 to +0.027)`; a dash where it is not known."""
    if gap is None:
        return UNKNOWN
    if not gap.differing:
        return spread(gap)
    return t("{mean} ({interval})", mean=number_format.signed(gap.mean), interval=spread(gap))


def sentence(model: Model, measured: Ladder) -> str:
    """Which is the smallest size of a model that is not worse than its best by more than M.

    Args:
        model: one of the ladder.
        measured: gives metric and margin.
    """
    best, smallest = model.best, model.smallest
    values = {
        "model": model.name,
        "title": METRICS.get(measured.metric, measured.metric),
        "margin": measured.margin,
        "best": size_words(best),
    }
    if len(model.sizes) == 1:
        return t(
            "{model}: one size was measured ({best}), so nothing is said about size.", **values
        )
    if best is model.sizes[0]:
        return t("{model}: the smallest size measured, {best}, has the highest {title}.", **values)
    if smallest is best:
        return t(
            "Not shown for {model}: no size below its best ({best}) is known to be at most "
            "{margin:g} {title} worse{why}.",
            why=_why_not(model),
            **values,
        )
    gap = smallest.against_best
    assert gap is not None, "a size is shown by its difference to the best"
    text = t(
        "{model}: {smallest} is the smallest size that is not worse than its best ({best}) by more "
        "than {margin:g} {title}: {gap} over {n} people{price}.",
        smallest=size_words(smallest),
        gap=gap_words(gap),
        n=gap.n,
        price=_prices(smallest, best),
        **values,
    )
    if model.between:
        text += " " + t(
            "Of {sizes}, between the two, it is not shown: look at another seed before you rely "
            "on it.",
            sizes=", ".join(map(size_words, model.between)),
        )
    return text


def _why_not(model: Model) -> str:
    """What the sizes below the best say instead."""
    below = model.sizes[: model.sizes.index(model.best)]
    if any(size.against_best is None for size in below):
        return t(", since fewer than {fewest} people were asked by both", fewest=MIN_PEOPLE)
    if all(size.verdict == WORSE for size in below):
        return t(": all are shown to be worse by more")
    near = max(below, key=lambda size: size.against_best.low if size.against_best else 0.0)
    text = t("; nearest is {size}, {gap}", size=size_words(near), gap=gap_words(near.against_best))
    more, people = near.settled_by, near.quality.n or 0
    if more is None or more.users is None or not people < more.users <= MOST:
        return text
    return t("{text}; {settle}", text=text, settle=settle_words(more, people))


def _prices(smallest: Size, best: Size) -> str:
    """What a million requests cost with both, where that is known."""
    mine, theirs = smallest.usd_per_million.value, best.usd_per_million.value
    if mine is None or theirs is None:
        return ""
    return t(
        ", at {mine} in the place of {theirs} per million requests",
        mine=number_format.small_dollars(mine),
        theirs=number_format.small_dollars(theirs),
    )


def notes(measured: Ladder) -> list[str]:
    """What a reader of the ladder must know besides, a sentence each."""
    said = comparability(measured.rows, measured.protocol)
    noisy = [row.name for row in measured.rows if row.noisy]
    if noisy:
        said.append(
            t(
                "Another program used the processor while these were timed, so their p95 and $ "
                "say little: {names}.",
                names=", ".join(noisy),
            )
        )
    trained_once = [
        row
        for row in measured.rows
        if row.spec.recommender.adaptation != "none" and len(row.run_ids) == 1
    ]
    if trained_once:
        said.append(
            t(
                "Sizes were trained with one seed: the intervals cover the choice of people, not "
                "the luck of training. seeds = [0, 1, 2] in the study's row covers both."
            )
        )
    return said
