"""Where the picture turns: who leads among parts of the people, and for items that are new.

New items are rows of a study that hide an item nobody has taken in training. They are asked of
other people in another way, so they are compared with each other and with no other row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from llmrec_core.language import marked, t
from llmrec_core.reading import number_format
from llmrec_core.reading.comparison import best_first, difference
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.pays import best_of_each
from llmrec_core.reading.people import MIN_PEOPLE, NOBODY, People
from llmrec_core.reading.question import Question
from llmrec_core.reading.requirements import Requirements
from llmrec_core.reading.row import Row, document_of
from llmrec_core.retelling import retold

NEW_ITEMS = {
    "loo-cold-items/shelf": marked("new items among each other"),
    "loo-cold-items/full": marked("new items among all items"),
}
"""Protocols that ask for items without training, in words."""

Elsewhere = Mapping[str, Mapping[str, People]]
"""Protocol of `NEW_ITEMS` → run id → values of each person."""


def new_item_protocols(rows: Sequence[Row]) -> list[str]:
    """The protocols of `NEW_ITEMS` under which rows of a study were measured."""
    return [name for name in NEW_ITEMS if any(name in row.protocols for row in rows)]


def turns(
    rows: Sequence[Row], question: Question, elsewhere: Elsewhere | None = None
) -> tuple[str, ...]:
    """For each slice, whether the best language model or the best other row leads there.

    Slices of fewer than `MIN_PEOPLE` people get no advice; they are named together, as are empty
    ones.

    Args:
        rows: of the study.
        question: what is compared by.
        elsewhere: what the same metric says of new items.
    """
    sizes = slice_sizes(rows, question.metric, question.protocol)
    sizes.pop("all", None)
    sentences = [
        sentence
        for name, people in sizes.items()
        if people >= MIN_PEOPLE and (sentence := _turn(rows, name, retold(name), question))
    ]
    sentences += [
        sentence
        for protocol, users in (elsewhere or {}).items()
        if (sentence := _turn(rows, "all", t(NEW_ITEMS[protocol]), _of(question, protocol, users)))
    ]
    few = [
        t("{slice} ({people})", slice=retold(name), people=people)
        for name, people in sizes.items()
        if 0 < people < MIN_PEOPLE
    ]
    if few:
        sentences.append(
            t(
                "Too few people for advice, fewer than {fewest}: {slices}.",
                fewest=MIN_PEOPLE,
                slices=", ".join(few),
            )
        )
    empty = [retold(name) for name, people in sizes.items() if not people]
    if empty:
        sentences.append(t("Nobody of this sample belongs to: {slices}.", slices=", ".join(empty)))
    return tuple(sentences)


def slice_sizes(rows: Sequence[Row], metric: str, protocol: str) -> dict[str, int]:
    """How many people each slice of the rows holds, everybody's among them."""
    sizes: dict[str, int] = {}
    for row in rows:
        for figure in row.figures:
            if (figure.name, figure.protocol) == (metric, protocol):
                sizes[figure.slice] = max(sizes.get(figure.slice, 0), figure.n or 0)
    return sizes


def ahead(
    rows: Sequence[Row], limits: Limits, question: Question, elsewhere: Elsewhere | None = None
) -> str:
    """Where a language model that keeps the limits ranks better beyond the interval, in a sentence.

    Args:
        rows: of the study.
        limits: of the reader; what breaks one is no offer, however good it is there.
        question: what is compared by.
        elsewhere: what the same metric says of new items.
    """
    asked = [
        (t("all who were asked") if name == "all" else retold(name), name, question)
        for name in slice_sizes(rows, question.metric, question.protocol)
    ]
    asked += [
        (t(NEW_ITEMS[protocol]), "all", _of(question, protocol, users))
        for protocol, users in (elsewhere or {}).items()
    ]
    places = []
    for words, part, where in asked:
        people = slice_sizes(rows, where.metric, where.protocol).get(part, 0)
        ranked = best_first(rows, where.metric, where.protocol, part)
        language, classical = best_of_each(ranked, limits, where)
        if people < MIN_PEOPLE or language is None or classical is None:
            continue
        if Requirements(limits, where, ranked[0]).not_kept(language):
            continue
        if _leader(rows, part, language, classical, where)[0] is language:
            places.append(t("{slice} ({people})", slice=words, people=people))
    if not places:
        return t("Where a language model does better: nowhere measured so far.")
    return t("Where a language model does better: {places}.", places=", ".join(places))


def _of(question: Question, protocol: str, users: Mapping[str, People]) -> Question:
    """The same question asked under another protocol."""
    return replace(question, protocol=protocol, users=users)


def _turn(rows: Sequence[Row], name: str, words: str, question: Question) -> str:
    ranked = best_first(rows, question.metric, question.protocol, name)
    language, classical = best_of_each(ranked, Limits(), question)
    if language is None or classical is None:
        return ""
    a, b = (row.figure(question.metric, question.protocol, name) for row in (language, classical))
    return t(
        "{slice} ({people} users): {language} {first}, {classical} {second} – {leader}.",
        slice=words[:1].upper() + words[1:],
        people=a.n,
        language=language.name,
        first=number_format.figure(a),
        classical=classical.name,
        second=number_format.figure(b),
        leader=_leader(rows, name, language, classical, question)[1],
    )


def _leader(
    rows: Sequence[Row], part: str, language: Row, classical: Row, question: Question
) -> tuple[Row | None, str]:
    """Who leads, and that in words; nobody where the two cannot be told apart.

    Paired where the record names the users, else by whether the intervals overlap.
    """
    members = None if part == "all" else members_of(rows, part, question.protocol)
    if members or part == "all":
        mine, theirs = (question.users.get(row.run_id, NOBODY) for row in (language, classical))
        gap = difference(mine, theirs, members)
        if gap is None or not gap.distinguishable:
            return None, t("not distinguishable")
        return _leads(language if gap.mean > 0 else classical)
    a, b = (row.figure(question.metric, question.protocol, part) for row in (language, classical))
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return None, t("no interval recorded")
    if a.low > b.high:
        return _leads(language)
    if b.low > a.high:
        return _leads(classical)
    return None, t("not distinguishable, the intervals overlap")


def _leads(row: Row) -> tuple[Row, str]:
    return row, t("{name} leads", name=row.name)


def members_of(rows: Sequence[Row], part: str, protocol: str) -> list[int] | None:
    """User codes of a slice among those whom a protocol asks, where a record names them."""
    for row in rows:
        if not any(figure.protocol == protocol for figure in row.figures):
            continue  # asked of other people
        document = row.documents.get(document_of("slices", protocol, row))
        users = (document or {}).get(part)
        if users:
            return list(users)
    return None
