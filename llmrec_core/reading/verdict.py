"""The answer for a product manager: does the language model pay, and which row to take.

A hit: the withheld item stands in the top k of the candidates. Per 100 users it is 100 × Recall@k,
as each user has one withheld item under leave-one-out. Rows are compared user by user; the answer
itself is in `pays.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmrec_core.language import t
from llmrec_core.reading import number_format, pays, tried
from llmrec_core.reading.choice import Choice, choose
from llmrec_core.reading.comparison import best_first
from llmrec_core.reading.extra_hit import price_of_a_hit
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.offers import Card, cards
from llmrec_core.reading.people import People
from llmrec_core.reading.pricing import AS_RECORDED, Pricing
from llmrec_core.reading.protocols import in_words
from llmrec_core.reading.question import Question
from llmrec_core.reading.row import Row
from llmrec_core.reading.stability import share_stays
from llmrec_core.reading.turns import Elsewhere, ahead, turns


@dataclass(frozen=True)
class Traffic:
    """What a reader needs: the traffic, what a hit brings, and limits; `None` = no limit."""

    requests_per_month: float = 1e7
    usd_per_month: float | None = None
    p95_s: float | None = None
    hit_worth_usd: float = 0.001
    usd_per_million: float | None = None
    share_of_best: float | None = None

    @property
    def limits(self) -> Limits:
        """What the reader can afford and asks for."""
        return Limits(
            self.p95_s,
            self.usd_per_million,
            self.usd_per_month,
            self.requests_per_month,
            self.share_of_best,
        )


DEFAULT_TRAFFIC = Traffic()


@dataclass(frozen=True)
class Verdict:
    """The answer, the sentence behind it, the offers, and where the picture turns."""

    answer: str
    """`yes`, `no`, `not yet` or `unknown`."""
    headline: str
    sentence: str
    choice: Choice
    """The row to take within the limits, as Decide says it."""
    cards: tuple[Card, ...] = ()
    extra_hit: str = ""
    break_even: str = ""
    turns: tuple[str, ...] = ()
    silent: str = ""
    """Which rows carry a language model that has no say in their order."""
    ahead: str = ""
    """Where a language model does better."""
    tried: str = ""
    """Which language models were tried."""
    exact: str = ""
    """The difference in quality with its interval."""
    sure: str = ""
    """How often the choice stays the choice."""
    protocol: str = ""
    """On what the verdict rests, in plain words."""
    language: Row | None = None
    classical: Row | None = None
    pair: pays.Pair | None = None
    """The two that are compared, where there are two."""


def noun(dataset: str) -> str:
    """What an item of the data set is called."""
    films = dataset.startswith(("ml-", "movielens", "tallrec-movie"))
    return t("film") if films else t("item")


def judge(
    rows: Sequence[Row],
    metric: str,
    protocol: str,
    users: Mapping[str, People],
    hits: Mapping[str, People],
    traffic: Traffic = DEFAULT_TRAFFIC,
    pricing: Pricing = AS_RECORDED,
    elsewhere: Elsewhere | None = None,
) -> Verdict:
    """The verdict over the finished rows of one exam.

    Args:
        rows: of the study.
        metric: decides who is better.
        protocol: e.g. `loo/100-uniform`.
        users: values of `metric` by run id.
        hits: hits (Recall@k) by run id; they price an extra hit.
        traffic: what the reader needs.
        pricing: what the reader has typed.
        elsewhere: values of `metric` under the protocols that ask for new items.
    """
    question = Question(metric, protocol, users, pricing)
    choice = choose(rows, traffic.limits, question)
    ranked = best_first(rows, metric, protocol)
    if not ranked:
        nothing = t("No run has finished yet, so there is nothing to compare.")
        return Verdict("unknown", t("Not measured yet"), nothing, choice)
    language, classical = pays.best_of_each(ranked, traffic.limits, question)
    offers = cards(ranked, traffic.limits, question)
    rests_on = t("Measured so: {protocol}.", protocol=in_words(protocol))
    silent = _silent(ranked)
    if language is None or classical is None:
        missing = (
            t("No language model has finished yet, so the two cannot be compared.")
            if language is None
            else t("No classical recommender has finished yet, so the two cannot be compared.")
        )
        return Verdict(
            "unknown",
            t("Not measured yet"),
            missing,
            choice,
            offers,
            silent=silent,
            tried=tried.words(rows),
            protocol=rests_on,
            language=language,
            classical=classical,
        )
    worth = traffic.hit_worth_usd
    pair = pays.Pair(language, classical, question, hits, traffic.limits, worth, ranked[0])
    answer, headline = pays.answer(pair)
    extra, even = price_of_a_hit(pair)
    return Verdict(
        answer,
        headline,
        pays.sentence(pair, noun(language.spec.data.name)),
        choice,
        offers,
        extra,
        even,
        turns(rows, question, elsewhere),
        silent,
        ahead=ahead(rows, traffic.limits, question, elsewhere),
        tried=tried.words(rows),
        exact=pays.exact(pair),
        sure=sure_words(choice, rows, traffic.limits, question),
        protocol=rests_on,
        language=language,
        classical=classical,
        pair=pair,
    )


def _silent(ranked: Sequence[Row]) -> str:
    """The rows whose language model is paid for and not listened to, in a sentence or two."""
    unweighted = [row.name for row in ranked if row.unweighted]
    never = [row.name for row in ranked if row.never_read and not row.unweighted]
    sentences = []
    if len(unweighted) == 1:
        sentences.append(
            t(
                "Not counted as a language model: {name}, because validation gave its language "
                "model no weight in the blend; the order is the retriever's alone.",
                name=unweighted[0],
            )
        )
    elif unweighted:
        sentences.append(
            t(
                "Not counted as language models: {names}, because validation gave their language "
                "models no weight in the blend; the order is the retriever's alone.",
                names=", ".join(unweighted),
            )
        )
    if never:
        sentences.append(
            t(
                "Not counted as a language model: {names}, because the gate learned on validation "
                "lets no request through to it; the order is the retriever's alone.",
                names=", ".join(never),
            )
        )
    return " ".join(sentences)


def sure_words(choice: Choice, rows: Sequence[Row], limits: Limits, question: Question) -> str:
    """How often the choice within the limits stays the choice; empty where it cannot be known."""
    chosen = choice.row
    share = None if chosen is None else share_stays(rows, chosen, limits, question)
    if chosen is None or share is None:
        return ""
    return t(
        "In {share} of resamples of people and seeds {name} stays the choice.",
        share=number_format.share(round(share, 2)),
        name=chosen.name,
    )
