"""Where the picture turns: who leads among parts of the people, where they are enough to say so."""

from __future__ import annotations

from collections.abc import Sequence

from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.reading.choice import Question
from llmrec_core.reading.comparison import best_first, difference
from llmrec_core.reading.people import MIN_PEOPLE, NOBODY
from llmrec_core.reading.row import Row, document_of
from llmrec_core.retelling import retold


def turns(rows: Sequence[Row], question: Question) -> tuple[str, ...]:
    """For each slice, whether the best language model or the best other row leads there.

    Slices of fewer than `MIN_PEOPLE` people get no advice; they are named together, as are empty
    ones.
    """
    sizes: dict[str, int] = {}
    for row in rows:
        for figure in row.figures:
            if (figure.name, figure.protocol) == (question.metric, question.protocol):
                sizes[figure.slice] = max(sizes.get(figure.slice, 0), figure.n or 0)
    sizes.pop("all", None)
    sentences = [
        sentence
        for name, people in sizes.items()
        if people >= MIN_PEOPLE and (sentence := _turn(rows, name, question))
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


def _turn(rows: Sequence[Row], name: str, question: Question) -> str:
    ranked = best_first(rows, question.metric, question.protocol, name)
    language = next((row for row in ranked if row.language_model_decides), None)
    classical = next((row for row in ranked if not row.uses_language_model), None)
    if language is None or classical is None:
        return ""
    a, b = (row.figure(question.metric, question.protocol, name) for row in (language, classical))
    words = retold(name)
    return t(
        "{slice} ({people} users): {language} {first}, {classical} {second} – {leader}.",
        slice=words[:1].upper() + words[1:],
        people=a.n,
        language=language.name,
        first=number_format.figure(a),
        classical=classical.name,
        second=number_format.figure(b),
        leader=_leader(rows, name, language, classical, question),
    )


def _leader(
    rows: Sequence[Row], part: str, language: Row, classical: Row, question: Question
) -> str:
    """Who leads: paired where the record names the users, else by whether the intervals overlap."""
    leads = {row.run_id: t("{name} leads", name=row.name) for row in (language, classical)}
    members = members_of(rows, part, question.protocol)
    if members:
        mine, theirs = (question.users.get(row.run_id, NOBODY) for row in (language, classical))
        gap = difference(mine, theirs, members)
        if gap is None or not gap.distinguishable:
            return t("not distinguishable")
        return leads[(language if gap.mean > 0 else classical).run_id]
    a, b = (row.figure(question.metric, question.protocol, part) for row in (language, classical))
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return t("no interval recorded")
    if a.low > b.high:
        return leads[language.run_id]
    if b.low > a.high:
        return leads[classical.run_id]
    return t("not distinguishable, the intervals overlap")


def members_of(rows: Sequence[Row], part: str, protocol: str) -> list[int] | None:
    """User codes of a slice among those whom a protocol asks, where a record names them."""
    for row in rows:
        document = row.documents.get(document_of("slices", protocol, row))
        users = (document or {}).get(part)
        if users:
            return list(users)
    return None
