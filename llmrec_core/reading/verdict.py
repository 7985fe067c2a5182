"""The answer for a product manager: does the language model pay, and which row to take.

A hit: the withheld item stands in the top k of the candidates. Per 100 users it is 100 × Recall@k,
as each user has one withheld item under leave-one-out. Rows are compared user by user; where the
paired interval includes 0 the answer is "not yet", with what would settle it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmrec_core.language import t
from llmrec_core.metrics.intervals import Difference
from llmrec_core.reading import number_format
from llmrec_core.reading.choice import Choice, Question, choose, monthly
from llmrec_core.reading.comparison import best_first, spread
from llmrec_core.reading.extra_hit import price_of_a_hit
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.offers import Card, cards, hits_per_100
from llmrec_core.reading.people import MIN_PEOPLE, NOBODY, People
from llmrec_core.reading.pricing import AS_RECORDED, Pricing
from llmrec_core.reading.protocols import in_words
from llmrec_core.reading.row import Row
from llmrec_core.reading.stability import settle_words, share_stays, what_would_settle
from llmrec_core.reading.turns import turns


@dataclass(frozen=True)
class Traffic:
    """What a reader needs: the traffic, what a hit brings, and limits; `None` = no limit."""

    requests_per_month: float = 1e7
    usd_per_month: float | None = None
    p95_s: float | None = None
    hit_worth_usd: float = 0.001
    usd_per_million: float | None = None

    @property
    def limits(self) -> Limits:
        """What the reader can afford."""
        return Limits(self.p95_s, self.usd_per_million, self.usd_per_month, self.requests_per_month)


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
    sure: str = ""
    """How often the choice stays the choice."""
    protocol: str = ""
    """On what the verdict rests, in plain words."""
    language: Row | None = None
    classical: Row | None = None


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
    """
    question = Question(metric, protocol, users, pricing)
    choice = choose(rows, traffic.limits, question)
    ranked = best_first(rows, metric, protocol)
    if not ranked:
        nothing = t("No run has finished yet, so there is nothing to compare.")
        return Verdict("unknown", t("Not measured yet"), nothing, choice)
    language = next((row for row in ranked if row.language_model_decides), None)
    classical = next((row for row in ranked if not row.uses_language_model), None)
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
            protocol=rests_on,
            language=language,
            classical=classical,
        )
    gap = question.difference(language, classical)
    answer = _answer(gap)
    extra, even = price_of_a_hit(
        language, classical, hits, traffic.limits, traffic.hit_worth_usd, question
    )
    return Verdict(
        answer,
        _headline(answer, language, classical, gap, users),
        _sentence(language, classical, gap, traffic, question),
        choice,
        offers,
        extra,
        even,
        turns(rows, question),
        silent,
        sure=sure_words(choice, rows, traffic.limits, question),
        protocol=rests_on,
        language=language,
        classical=classical,
    )


def _silent(ranked: Sequence[Row]) -> str:
    """The rows whose language model is paid for and not listened to, in a sentence."""
    names = [row.name for row in ranked if row.language_model_silent]
    if not names:
        return ""
    if len(names) == 1:
        return t(
            "Not counted as a language model: {name}, because validation gave its language model "
            "no weight in the blend; the order is the retriever's alone.",
            name=names[0],
        )
    return t(
        "Not counted as language models: {names}, because validation gave their language models "
        "no weight in the blend; the order is the retriever's alone.",
        names=", ".join(names),
    )


def _answer(gap: Difference | None) -> str:
    if gap is None:
        return "unknown"
    if not gap.distinguishable:
        return "not yet"
    return "yes" if gap.mean > 0 else "no"


def _headline(
    answer: str,
    language: Row,
    classical: Row,
    gap: Difference | None,
    users: Mapping[str, People],
) -> str:
    if answer == "yes":
        return t("Yes, in quality")
    if answer == "no":
        return t("No")
    if gap is None:
        return t("Not yet: fewer than {fewest} people were asked by both", fewest=MIN_PEOPLE)
    people = (users.get(row.run_id, NOBODY) for row in (language, classical))
    more = what_would_settle(*people)
    return t("Not yet: {settle}", settle="" if more is None else settle_words(more, gap.n))


def _sentence(
    language: Row,
    classical: Row,
    gap: Difference | None,
    traffic: Traffic,
    question: Question,
) -> str:
    parts = [_counts(language, classical, question)]
    if gap is not None:
        parts.append(
            t(
                "The paired {title} difference is {gap} over {n} users.",
                title=question.title,
                gap=spread(gap),
                n=gap.n,
            )
        )
    parts.append(_costs(language, classical, traffic, question.pricing))
    return " ".join(part for part in parts if part)


def _counts(language: Row, classical: Row, question: Question) -> str:
    mine, theirs = (hits_per_100(row, question.protocol) for row in (language, classical))
    if mine.value is None or theirs.value is None:
        first, second = (
            number_format.figure(row.figure(question.metric, question.protocol))
            for row in (language, classical)
        )
        return t(
            "{title} of {language}, the best language model here, is {first}, of {classical}, the "
            "best classical one, {second}.",
            title=question.title,
            language=language.name,
            classical=classical.name,
            first=first,
            second=second,
        )
    return t(
        "The withheld {item} is in the top {k} for {mine:.0f} of 100 users with {language}, the "
        "best language model here, and for {theirs:.0f} with {classical}, the best classical one.",
        item=noun(language.spec.data.name),
        k=language.spec.protocol.k,
        mine=mine.value,
        theirs=theirs.value,
        language=language.name,
        classical=classical.name,
    )


def _costs(language: Row, classical: Row, traffic: Traffic, pricing: Pricing) -> str:
    """The two bills of the traffic in words; empty where one is unknown."""
    bills = [
        monthly(row, traffic.requests_per_month, pricing, traffic.p95_s).value
        for row in (language, classical)
    ]
    if bills[0] is None or bills[1] is None:
        return ""
    return t(
        "{requests} requests a month cost {dear} with it and {cheap} without.",
        requests=number_format.count(traffic.requests_per_month),
        dear=number_format.dollars(bills[0]),
        cheap=number_format.dollars(bills[1]),
    )


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
