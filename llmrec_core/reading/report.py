"""A study as one HTML file that opens from disk: no script, no request, all from data escaped.

The layout stands in `templates/report.html`; the chart is SVG. A report of twenty runs is about
60 kB. Printed on A4, tables are as wide as the paper and nothing is cut off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from markupsafe import Markup

from llmrec_core.costmodel.plan import sentences
from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.explain import many_rows
from llmrec_core.language import day, marked, t
from llmrec_core.reading import (
    bills,
    clear_order,
    data_doubts,
    explanations,
    html,
    listing,
    number_format,
    pareto,
    study_tables,
    svg,
    verdict,
)
from llmrec_core.reading.bills import monthly
from llmrec_core.reading.choice import Choice
from llmrec_core.reading.comparison import comparability
from llmrec_core.reading.glossary import GLOSSARY, METHOD_TITLES, METHODS
from llmrec_core.reading.groups import grouped
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.offers import Card
from llmrec_core.reading.pricing import AS_RECORDED, Pricing, origin
from llmrec_core.reading.row import Row, machine_of
from llmrec_core.reading.table import Cell, Column, Table, make
from llmrec_core.reading.turns import new_item_protocols
from llmrec_core.retelling import retold
from llmrec_core.types import Measurement

if TYPE_CHECKING:
    from llmrec_core.ledger.ledger import Ledger

METRIC = "ndcg@10"
CONDITIONS = (
    Column(marked("Machine"), "machine"),
    Column(marked("Data"), "data"),
    Column(marked("Users"), "users", number_format.count),
    Column(marked("Price"), "price"),
    Column(marked("Grid"), "grid"),
    Column(marked("Energy"), "energy"),
    Column(marked("Versions"), "versions"),
)


@dataclass(frozen=True)
class Content:
    """Everything a report shows, already computed."""

    title: str
    protocol: str
    rows: Sequence[Row]
    finding: verdict.Verdict
    chart: pareto.Chart
    choice: Choice
    limits: Limits = field(default_factory=Limits)
    plan: tuple[str, ...] = ()
    """The devices and the bill of the choice for the reader's traffic, a sentence each."""
    explanation: explanations.Reasons | None = None
    comment: str = ""
    pricing: Pricing = AS_RECORDED
    traffic: verdict.Traffic = verdict.DEFAULT_TRAFFIC
    badge: str = ""
    doubts: tuple[str, ...] = ()
    """What the data itself gives away, a sentence each."""
    flags: Mapping[str, str] = field(default_factory=dict)
    """Id of a row → what its language model knows by heart."""


def render(content: Content, now: datetime | None = None) -> str:
    """The report as HTML text."""
    moment = now or datetime.now(UTC)
    when = f"{day(moment)}, {moment:%H:%M} UTC"
    table = study_tables.study_table(
        content.rows,
        content.protocol,
        content.chart,
        content.pricing,
        choice=content.choice,
        limits=content.limits,
        flags=content.flags,
    )
    reasons = content.explanation
    body = html.fragment(
        "report.html",
        t=t,
        content=content,
        when=when,
        needs=needs_words(content.traffic),
        cards=[_card(card, content) for card in content.finding.cards],
        comment=[line for line in content.comment.splitlines() if line.strip()],
        chart=Markup(svg.pareto(content.chart)),
        under_the_chart=under_the_chart(content),
        table=_table(table),
        reasons="" if reasons is None else explanations.section(reasons),
        conditions=_table(conditions_table(content.rows, content.pricing)),
        methods={t(METHOD_TITLES[name]): t(text) for name, text in METHODS.items()},
        glossary={t(name): t(text) for name, text in GLOSSARY.items()},
    )
    return str(html.page(content.title, body))


def needs_words(traffic: verdict.Traffic) -> str:
    """What the reader needs, in one line."""
    parts = [
        t(
            "{requests} requests a month",
            requests=number_format.count(traffic.requests_per_month),
        )
    ]
    if traffic.usd_per_month is not None:
        budget = number_format.dollars(traffic.usd_per_month)
        parts.append(t("at most {budget} a month", budget=budget))
    if traffic.usd_per_million is not None:
        price = number_format.small_dollars(traffic.usd_per_million)
        parts.append(t("at most {price} per million", price=price))
    if traffic.p95_s is not None:
        parts.append(t("p95 within {p95}", p95=number_format.duration(traffic.p95_s)))
    if traffic.share_of_best is not None:
        share = number_format.share(traffic.share_of_best)
        parts.append(t("at least {share} of the best quality", share=share))
    worth = number_format.small_dollars(traffic.hit_worth_usd)
    parts.append(t("a hit is worth {worth}", worth=worth))
    return " · ".join(parts)


def _card(card: Card, content: Content) -> dict[str, str]:
    """An offer as the template shows it."""
    served = (
        number_format.figure(card.hits)
        if card.hits.value is None
        else t("{value:.0f} of 100 users", value=card.hits.value)
    )
    item = verdict.noun(content.rows[0].spec.data.name)
    among = (
        t("have the withheld {item} in the top ten of all candidates", item=item)
        if card.candidates == "full"
        else t(
            "have the withheld {item} in the top ten of {count} candidates",
            item=item,
            count=card.candidates,
        )
    )
    cost = t(
        "p95 {p95} · {bill} a month",
        p95=number_format.figure(card.p95),
        bill=number_format.figure(card.usd_per_month),
    )
    return {
        "title": card.title,
        "name": card.row.name,
        "served": served,
        "among": among,
        "cost": cost,
        "note": card.note,
    }


def under_the_chart(content: Content) -> list[str]:
    """What the chart does not show, and what forbids to compare."""
    sentences = [
        t("Not drawn: {name} – {reason}", name=name, reason=reason)
        for name, reason in content.chart.left_out
    ]
    return [*sentences, *comparability(content.rows, content.protocol)]


def _table(table: Table) -> Markup:
    shown, empty = table.without_empty_columns()
    lines = [
        [
            {"text": text, "number": column.show is not None, "failing": mark in table.failing}
            for text, column, mark in zip(
                shown.read(line),
                shown.columns,
                _marks(shown, place),
                strict=True,
            )
        ]
        for place, line in enumerate(shown.lines)
    ]
    return html.fragment(
        "table.html",
        heads=[t(column.title) for column in shown.columns],
        lines=lines,
        nothing=t("No finished run yet."),
        note=shown.about_empty(empty) if empty else "",
    )


def _marks(table: Table, place: int) -> list[tuple[str, str]]:
    """Run id and column of each cell of a line."""
    run_id = table.ids[place] if table.ids else ""
    return [(run_id, column.title) for column in table.columns]


def conditions_table(rows: Sequence[Row], pricing: Pricing = AS_RECORDED) -> Table:
    """Machine, versions, price and power of the finished runs, one line a distinct set.

    Args:
        rows: of the study.
        pricing: what the reader has typed.
    """
    lines: dict[tuple[str, ...], dict[str, Cell | Measurement]] = {}
    for row in rows:
        if row.state != "finished":
            continue
        versions = row.documents.get("versions") or {}
        line: dict[str, Cell | Measurement] = {
            "Machine": machine_of(row) or t("not recorded"),
            "Data": f"{row.spec.data.name} {row.spec.data.content_hash}".strip(),
            "Users": row.spec.protocol.users or None,
            "Price": origin(row, pricing) or t("not recorded"),
            "Grid": _grid(row, pricing),
            "Energy": retold(str(row.device.get("energy") or t("not recorded"))),
            "Versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        }
        lines.setdefault(tuple(map(str, line.values())), line)
    return make(CONDITIONS, list(lines.values()))


def _grid(row: Row, pricing: Pricing) -> str:
    if pricing.grid_g_per_kwh is not None:
        return t("{grams:g} g CO2e per kWh, typed in", grams=pricing.grid_g_per_kwh)
    recorded = [row.conditions.get(name) for name in ("grid_g_per_kwh", "grid_source", "grid_date")]
    return ", ".join(str(part) for part in recorded if part) or t("not recorded")


def plan_words(choice: Choice, traffic: verdict.Traffic, pricing: Pricing) -> tuple[str, ...]:
    """The devices and the bill of the choice for the reader's traffic, or why there is none."""
    if choice.row is None:
        return ()
    if choice.row.is_hosted:
        month = monthly(choice.row, traffic.requests_per_month, pricing, traffic.p95_s)
        words = t(
            "{dollars} a month for the tokens of {name}.",
            dollars=number_format.figure(month),
            name=choice.row.name,
        )
        return words, origin(choice.row)
    try:
        bill = bills.of_month(choice.row, traffic.requests_per_month, pricing, traffic.p95_s)
    except UnsupportedError as error:
        return (str(error),)
    parts = [sentences.devices(bill)]
    if bill.usd_per_month is not None:
        dollars = number_format.dollars(bill.usd_per_month)
        parts.append(t("{dollars} a month with {name}.", dollars=dollars, name=choice.row.name))
    return (*parts, sentences.origin(bill))


def gather(
    ledger: Ledger,
    study: str,
    *,
    comment: str = "",
    traffic: verdict.Traffic = verdict.DEFAULT_TRAFFIC,
    pricing: Pricing = AS_RECORDED,
    badge: str = "",
    untied: bool = False,
) -> Content:
    """Everything a report shows of a study in a ledger.

    Args:
        ledger: that holds the study.
        study: its name.
        comment: of the reader.
        traffic: what the reader needs.
        pricing: what the reader has typed.
        badge: where the study was recorded, when not here.
        untied: leave out people whose last items share one moment.

    Raises:
        UsageError: for a study that is not there.
    """
    title = {row.name: row.title or row.name for row in ledger.studies()}
    if study not in title:
        names = ", ".join(title) or t("none")
        raise UsageError(
            t("no study {study!r} in this ledger; there are: {names}", study=study, names=names)
        )
    rows = grouped(listing.rows_of(ledger, ledger.runs(study)))
    measured = [name for row in rows for name in row.protocols]
    protocol = max(measured, key=measured.count) if measured else ""
    users = listing.people_of(ledger, rows, METRIC, protocol)
    hits = listing.people_of(ledger, rows, "recall@10", protocol)
    elsewhere = {
        name: listing.people_of(ledger, rows, METRIC, name) for name in new_item_protocols(rows)
    }
    doubts = data_doubts.doubts_of([row.spec.data.content_hash for row in rows], ledger.settings)
    if untied and clear_order.some_are_tied(rows, protocol):
        doubts.insert(0, t("People whose last items share one moment are left out."))
        users, hits = (
            clear_order.people_without_tied(rows, values, protocol) for values in (users, hits)
        )
        elsewhere = {
            name: clear_order.people_without_tied(rows, values, name)
            for name, values in elsewhere.items()
        }
        rows = clear_order.without_tied(rows)
    elif untied:
        doubts.insert(
            0, t("No record tells people with tied last items apart, so nobody is left out.")
        )
    finding = verdict.judge(rows, METRIC, protocol, users, hits, traffic, pricing, elsewhere)
    return Content(
        title[study],
        protocol,
        rows,
        finding,
        pareto.chart(rows, METRIC, protocol, "usd_per_million", pricing=pricing),
        finding.choice,
        traffic.limits,
        plan_words(finding.choice, traffic, pricing),
        _explained(ledger, finding),
        comment,
        pricing,
        traffic,
        badge,
        tuple(doubts),
        data_doubts.memorised_flags(rows, ledger.settings),
    )


def _explained(ledger: Ledger, finding: verdict.Verdict) -> explanations.Reasons | None:
    """One explanation of the best language model, else of the best classical row."""
    for row in filter(None, (finding.language, finding.classical)):
        body = ledger.document(row.run_id, "explanations") or {}
        if body:
            many = ledger.document(row.run_id, many_rows.DOCUMENT)
            return explanations.read(next(iter(body.values())), run=row.name, many=many)
    return None
