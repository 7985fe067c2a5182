"""A study as one HTML file that opens from disk: no script, no request, every word from data escaped.

The content security policy forbids everything but the inline style; the chart is SVG. A report of twenty runs is
about 60 kB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmrec_core.errors import UsageError
from llmrec_core.experiments import explanations, formats, front, listing, svg, tables, verdict, views
from llmrec_core.experiments.words import GLOSSARY, METHODS

if TYPE_CHECKING:
    from llmrec_core.experiments.ledger import Ledger

STYLE = """
:root{color-scheme:light dark;--ink:#1d2433;--soft:#5b6478;--line:#dbe0ea;--back:#fff;--card:#f5f7fb}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9f0;--soft:#9aa3b8;--line:#2d3444;--back:#11141c;--card:#1b202c}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back);max-width:1080px;
margin:2rem auto;padding:0 1rem}
h1{font-size:1.8rem;margin:0 0 .3rem}h2{font-size:1.2rem;margin:2rem 0 .6rem}
.soft{color:var(--soft);font-size:.86rem}
.verdict{background:var(--card);border-left:4px solid #3b6fd4;padding:1rem 1.2rem;border-radius:.5rem}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(240px,1fr));gap:1rem;margin-top:1rem}
.card{border:1px solid var(--line);border-radius:.6rem;padding:.9rem 1.1rem}.card b{font-size:1.05rem}
.big{font-size:1.5rem;font-weight:600}.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.84rem;width:100%}
th,td{border-bottom:1px solid var(--line);padding:.35rem .5rem;text-align:left;vertical-align:top}
th{white-space:nowrap;color:var(--soft);font-weight:600}
svg{width:100%;height:auto;font:13px system-ui,sans-serif}svg text{fill:var(--ink)}.grid{stroke:var(--line)}
.front{fill:none;stroke:var(--soft);stroke-dasharray:4 4;stroke-width:1.5}
.badge{display:inline-block;background:#d9702b;color:#fff;border-radius:.4rem;padding:.1rem .5rem;font-size:.8rem}
.bar{display:inline-block;height:.8rem;border-radius:.2rem;vertical-align:middle}
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class Content:
    """Everything a report shows, already computed."""

    title: str
    protocol: str
    rows: Sequence[views.Row]
    finding: verdict.Verdict
    chart: front.Chart
    choice: front.Choice
    explanation: explanations.Explanation | None = None
    explained_run: str = ""
    comment: str = ""
    pricing: views.Pricing = views.AS_RECORDED
    traffic: verdict.Traffic = verdict.DEFAULT_TRAFFIC
    badge: str = ""


def render(content: Content, now: datetime | None = None) -> str:
    """The report as HTML text."""
    e = formats.escape
    when = (now or datetime.now(UTC)).strftime("%d %b %Y, %H:%M UTC")
    parts = [
        f"<h1>{e(content.title)}</h1>",
        f'<p class="soft">LLMRec Studio, {when} · protocol {e(content.protocol or "none")}</p>',
    ]
    if content.badge:
        parts.append(f'<p><span class="badge">{e(content.badge)}</span></p>')
    parts.append(f'<p class="verdict">{e(content.finding.sentence)}</p>')
    if content.finding.silent:
        parts.append(f"<p>{e(content.finding.silent)}</p>")
    parts += [
        _cards(content),
        _paragraphs("What an extra hit costs", (content.finding.extra_hit, content.finding.break_even)),
    ]
    parts.append(_paragraphs("Where the picture turns", content.finding.turns))
    if content.comment.strip():
        parts.append(
            "<h2>Comment</h2>" + "".join(f"<p>{e(line)}</p>" for line in content.comment.splitlines() if line.strip())
        )
    parts.append("<h2>Quality against cost</h2>" + svg.pareto(content.chart))
    parts.append(f"<p>{e(content.choice.sentence)} {e(content.choice.why_not)}</p>")
    parts.append(
        '<p class="soft">Colour: precision. Shape: model size. Bars: 95 % interval over users. Bold: on the front.</p>'
    )
    for warning in views.comparability(content.rows, content.protocol):
        parts.append(f'<p class="soft">{e(warning)}</p>')
    table = tables.study_table(content.rows, content.protocol, content.chart, content.pricing)
    parts.append("<h2>All runs</h2>" + _table(table))
    if content.explanation:
        parts.append(_explanation(content.explanation, content.explained_run))
    parts.append("<h2>Conditions</h2>" + _table(conditions_table(content.rows)))
    methods = "".join(f"<p><b>{e(name.capitalize())}.</b> {e(text)}</p>" for name, text in METHODS.items())
    terms = "".join(f"<p><b>{e(name)}.</b> {e(text)}</p>" for name, text in GLOSSARY.items())
    parts.append(f"<details><summary>How it was measured</summary>{methods}</details>")
    parts.append(f"<details><summary>Glossary</summary>{terms}</details>")
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><title>{e(content.title)}</title>'
        f"<style>{STYLE}</style>"
    )
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'


def _cards(content: Content) -> str:
    e, item = formats.escape, verdict.noun(content.rows[0].spec.data.name) if content.rows else "item"
    cards = []
    for card in content.finding.cards:
        hits = formats.figure(card.hits) if card.hits.value is None else f"{card.hits.value:.0f} of 100 users"
        among = "all candidates" if card.candidates == "full" else f"{card.candidates} candidates"
        cards.append(
            f'<div class="card"><span class="soft">{e(card.title)}</span><br><b>{e(card.row.name)}</b>'
            f'<p class="big">{e(hits)}</p><p class="soft">have the withheld {item} in the top ten of {e(among)}</p>'
            f"<p>p95 {e(formats.figure(card.p95))} · {e(formats.figure(card.usd_per_month))} a month</p>"
            f'<p class="soft">{e(card.note)}</p></div>'
        )
    traffic = f"{formats.count(content.traffic.requests_per_month)} requests a month"
    return f'<div class="cards">{"".join(cards)}</div><p class="soft">{e(traffic)}</p>' if cards else ""


def _paragraphs(title: str, sentences: Sequence[str]) -> str:
    kept = [sentence for sentence in sentences if sentence]
    return (
        f"<h2>{formats.escape(title)}</h2>" + "".join(f"<p>{formats.escape(one)}</p>" for one in kept) if kept else ""
    )


def _table(table: pd.DataFrame) -> str:
    if table.empty:
        return "<p>No finished run yet.</p>"
    head = "".join(f"<th>{formats.escape(column)}</th>" for column in table.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{formats.escape(cell)}</td>" for cell in line) + "</tr>"
        for line in table.itertuples(index=False)
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _explanation(found: explanations.Explanation, run: str) -> str:
    reach = max((abs(player.value) for player in found.players), default=1.0) or 1.0
    lines = "".join(
        f"<tr><td>{formats.escape(player.title)}</td><td>{player.value:+.4f}</td><td>"
        f'<span class="bar" style="width:{200 * abs(player.value) / reach:.0f}px;'
        f'background:{"#2e9d62" if player.value >= 0 else "#c2405b"}"></span></td></tr>'
        for player in found.players
    )
    return (
        f"<h2>Why this item</h2><p>{formats.escape(found.text)}</p>"
        "<table><thead><tr><th>History item</th><th>Shapley value</th><th></th></tr></thead>"
        f"<tbody>{lines}</tbody></table>"
        f'<p class="soft">{formats.escape(run)} · without history {found.base:.4f}, score {found.prediction:.4f}</p>'
    )


def conditions_table(rows: Sequence[views.Row]) -> pd.DataFrame:
    """Machine, versions, price and power of the finished runs, one line per distinct set."""
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        if row.state != "finished":
            continue
        body, versions = row.conditions, row.documents.get("versions") or {}
        line = {
            "Machine": views.machine(row) or "not recorded",
            "Data": f"{row.spec.data.name} {row.spec.data.content_hash}".strip(),
            "Users": str(row.spec.protocol.users or "all"),
            "Price": _joined(body, "usd_per_hour", "price_source", "price_date"),
            "Utilisation": formats.share(views.AS_RECORDED.used(row)),
            "Grid": _joined(body, "grid_g_per_kwh", "grid_source", "grid_date"),
            "Energy": str(row.device.get("energy") or "not recorded"),
            "Versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        }
        lines.setdefault(tuple(line.values()), line)
    return pd.DataFrame(list(lines.values()))


def _joined(body: Mapping[str, Any], *names: str) -> str:
    return ", ".join(str(body[name]) for name in names if body.get(name) not in (None, "")) or "not recorded"


def gather(
    ledger: Ledger,
    study: str,
    *,
    comment: str = "",
    traffic: verdict.Traffic = verdict.DEFAULT_TRAFFIC,
    pricing: views.Pricing = views.AS_RECORDED,
    badge: str = "",
) -> Content:
    """Everything a report shows of a study in a ledger.

    Raises:
        UsageError: for a study that is not there.
    """
    found = next((one for one in ledger.studies() if one.name == study), None)
    if found is None:
        names = ", ".join(one.name for one in ledger.studies()) or "none"
        raise UsageError(f"no study {study!r} in this ledger; there are: {names}")
    runs = ledger.runs(study)
    rows = listing.rows_of(ledger, runs)
    measured = [name for row in rows for name in row.protocols]
    protocol = max(measured, key=measured.count) if measured else ""
    finished = [row.run_id for row in rows if row.state == "finished"]
    users = {run_id: views.per_user(ledger.samples(run_id, "ndcg@10", protocol)) for run_id in finished}
    hits = {run_id: views.per_user(ledger.samples(run_id, "recall@10", protocol)) for run_id in finished}
    finding = verdict.judge(rows, "ndcg@10", protocol, users, hits, traffic, pricing)
    explained, name = None, ""
    for row in filter(None, (finding.language, finding.classical)):
        body = ledger.document(row.run_id, "explanations") or {}
        if body:
            explained, name = explanations.read(next(iter(body.values()))), row.name
            break
    return Content(
        found.title or study,
        protocol,
        rows,
        finding,
        front.chart(rows, "ndcg@10", protocol, "usd_per_million", pricing=pricing),
        front.choose(rows, "ndcg@10", protocol, front.Limits(traffic.p95_s), users, pricing),
        explained,
        name,
        comment,
        pricing,
        traffic,
        badge,
    )
