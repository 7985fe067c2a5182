"""After the first answer of "Why this item": rivals, what would change it, how sure, other runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from llmrec_core.contract.requests import ExplainRequest, to_json
from llmrec_core.explain import many_rows, stored
from llmrec_core.explain.explanation import Explanation
from llmrec_core.explain.sentences import sentence
from llmrec_core.language import t
from llmrec_core.reading import explanations, number_format
from llmrec_core.reading.comparison import why_not_paired
from llmrec_core.reading.explanations import Reasons
from llmrec_core.reading.lists import Entry
from llmrec_core.reading.row import Row
from llmrec_core.retelling import retold
from pages.shared import address, charts, frame, people, reasons, records, tables, widgets

NOBODY = "none"

Body = Mapping[str, Any]


@st.fragment
def contrast(live: ExplainRequest | None, body: Body, entries: Sequence[Entry]) -> None:
    """Rather than …: the difference of two explanations, and what would put the other in front.

    Args:
        live: the question, where the worker can be asked; None in a recorded study.
        body: its answer.
        entries: the list that the item stands in.
    """
    explained = str(body["item_id"])
    held = {str(row["item_id"]) for row in body.get("others") or []}
    titles = {
        entry.item_id: f"{entry.place}. {entry.title}"
        for entry in entries
        if entry.item_id != explained and (live is not None or entry.item_id in held)
    }
    if not titles:
        return
    st.header(t("Why not another?"))
    rival = address.choose(
        st.selectbox,
        t("Rather than"),
        {NOBODY: t("choose another item"), **titles},
        "why_against",
        default=NOBODY,
    )
    if rival == NOBODY:
        return
    kept = stored.contrast_in(body, rival)
    if kept is None and live is not None:  # a decoder's answer holds its own item only
        kept = _asked_contrast(live, rival)
    if kept is None:
        return
    both, below = kept
    widgets.say(sentence(both))
    st.plotly_chart(
        reasons.value_bars(both, t("difference of the two scores")),
        key="why_contrast_chart",
        config=charts.CONFIG,
        alt=t("Shapley values of the difference of two scores"),
    )
    widgets.say(below)


def _asked_contrast(live: ExplainRequest, rival: str) -> tuple[Explanation, str] | None:
    payload = to_json(replace(live, against=rival))
    widgets.ask("why_contrast", "explain", payload)
    answer = widgets.answer("why_contrast", "explain", payload)
    if answer is None:
        return None
    both = Explanation.from_json(answer["contrast"])
    return both, stored.change_text(answer["smallest_set"], str(answer["title"]))


@st.fragment
def change(live: ExplainRequest | None, shown: Reasons) -> None:
    """What would change it: the smallest set, and history items that put the list in order again.

    Args:
        live: the question, where the worker can be asked; None in a recorded study.
        shown: the explanation.
    """
    items = {
        player.item_id: number_format.plain(player.label)
        for player in shown.explanation.players
        if player.item_id
    }
    if not shown.change and (live is None or not items):
        return
    st.header(t("What would change it?"))
    if shown.change:
        widgets.say(shown.change)
    else:
        st.caption(t("Choose an item above to see what would put it in front."))
    if live is None or not items:
        return
    removed = address.choose_several(
        st.pills,
        t("Take away history items"),
        items,
        "why_without",
        selection_mode="multi",
        help=t("The list is put in order as if the chosen items had never happened."),
    )
    if not removed:
        return
    payload = to_json(replace(live, without=tuple(sorted(removed))))
    widgets.ask("why_without_request", "explain", payload)
    answer = widgets.answer("why_without_request", "explain", payload)
    if answer is None:
        return
    widgets.say(retold(str(answer["without"]["text"])))
    rows = answer["without"]["items"]
    tables.table(
        pd.DataFrame(
            {
                "#": list(range(1, len(rows) + 1)),
                t("was"): [row["place_before"] for row in rows],
                t("Title"): [row["title"] for row in rows],
                t("Score"): [row["score"] for row in rows],
                t("before"): [row["before"] for row in rows],
            }
        ),
        "why_without_list",
        "without.csv",
        column_config={
            name: st.column_config.NumberColumn(format="%.3f") for name in (t("Score"), t("before"))
        },
    )


def honesty(live: ExplainRequest | None, shown: Reasons, body: Body) -> None:
    """How far to trust it.

    Args:
        live: the question, where the worker can be asked; None in a recorded study.
        shown: the explanation.
        body: the answer that it was read from.
    """
    if body.get("honesty"):
        with st.expander(t("How sure is this?")):
            checked = _checked(live) if live is not None else None
            _panel(checked or body)
    for note in shown.notes:
        widgets.caption(note)


def _checked(live: ExplainRequest) -> Body | None:
    payload = to_json(replace(live, honesty=True))
    if st.button(t("Check it against chance and other baselines"), key="why_check"):
        widgets.ask("why_honesty", "explain", payload)
    return widgets.answer("why_honesty", "explain", payload)


def _panel(body: Body) -> None:
    for what, how_much in (*_facts(body["honesty"]), *_checks(body["honesty"])):
        widgets.say(t("{what}: {how_much}", what=what, how_much=how_much))
    if body.get("curves"):
        st.plotly_chart(
            reasons.curve_lines(body["curves"]),
            key="why_curves",
            config=charts.CONFIG,
            alt=t("Score as the strongest reasons are added and taken away"),
        )
    pairs = body.get("interactions")
    if pairs:
        st.caption(t("Pairs that are worth more (+) or less (-) together than apart:"))
        tables.table(
            pd.DataFrame(
                {
                    t("Reason"): [pair["a"] for pair in pairs],
                    t("Other reason"): [pair["b"] for pair in pairs],
                    t("Interaction"): [pair["value"] for pair in pairs],
                }
            ),
            "why_pairs",
            "interactions.csv",
            column_config={t("Interaction"): st.column_config.NumberColumn(format="%+.4f")},
        )


def _facts(panel: Body) -> list[tuple[str, str]]:
    scored = t("{scored:,} of {all:,}", scored=panel["coalitions"], all=panel["of"])
    fresh = t("{count:,}", count=panel["forwards"])
    lines = [
        (
            t("Subsets scored"),
            t("{scored}, so the values are exact", scored=scored) if panel["exact"] else scored,
        ),
        (t("Estimated error of the values"), number_format.share(panel["estimated_error"])),
        (t("Base + values - score"), number_format.significant(panel["additivity_gap"])),
        (
            t("New scorings for this answer"),
            t("{fresh}: all were remembered", fresh=fresh) if panel.get("remembered") else fresh,
        ),
        (t("Processor time"), number_format.duration(float(panel["cpu_seconds"]))),
    ]
    if panel.get("usd") is not None:
        lines.append((t("Price of this answer"), number_format.dollars(panel["usd"])))
    return lines


def _checks(panel: Body) -> list[tuple[str, str]]:
    lines = []
    faithful = panel.get("faithfulness")
    if faithful and faithful["z"] is not None:
        lines.append(
            (
                t("Faithfulness: adding and removing by these values against random orders"),
                t(
                    "{z:.1f} standard deviations better; leaving out one at a time {alone:.1f}",
                    z=faithful["z"],
                    alone=faithful["z_leave_one_out"],
                ),
            )
        )
    for row in panel.get("baseline_sensitivity") or []:
        same = t("the same strongest reason") if row["same_top"] else t("another strongest reason")
        lines.append(
            (
                t("Rank correlation with the baseline '{baseline}'", baseline=row["baseline"]),
                same
                if row["spearman"] is None
                else t("{correlation:.2f}, {same}", correlation=row["spearman"], same=same),
            )
        )
    return lines


def compare(
    live: ExplainRequest, shown: Reasons, rows: Sequence[Row], names: Mapping[str, str]
) -> None:
    """The same question to another run, side by side, each with the warnings of its run.

    Args:
        live: the question.
        shown: its answer.
        rows: the finished runs of the study.
        names: what each is called, by run id.
    """
    others = {run_id: name for run_id, name in names.items() if run_id != live.run}
    if not others:
        return
    st.header(t("And in another run?"))
    other = address.choose(
        st.selectbox,
        t("Ask another run"),
        {NOBODY: t("choose a run"), **others},
        "why_other",
        default=NOBODY,
        aliases={row.name: row.run_id for row in rows},
        several=people.of_one_name([row for row in rows if row.run_id != live.run]),
    )
    if other == NOBODY:
        return
    by_id = {row.run_id: row for row in rows}
    refusal = why_not_paired(by_id[live.run], by_id[other], same_people=False)
    if refusal:
        widgets.caption(refusal)
        return
    payload = to_json(replace(live, run=other))
    widgets.ask("why_other_request", "explain", payload)
    answer = widgets.answer("why_other_request", "explain", payload)
    study = frame.study()
    if answer is None or study is None:
        return
    many = records.of(study).document(other, many_rows.DOCUMENT)
    theirs = explanations.read(answer, run=names[other], many=many)
    for place, each, key in zip(st.columns(2), (shown, theirs), ("first", "second"), strict=True):
        with place:
            widgets.caption(each.run)
            st.plotly_chart(
                reasons.value_bars(each.explanation),
                key=f"why_compare_{key}",
                config=charts.CONFIG,
                alt=t("Shapley values"),
            )
            widgets.say(each.sentence)
            widgets.say(each.source)
            for warning in each.warnings:
                widgets.say(f"⚠ {warning}")


def exports(shown: Reasons, body: Body, whose: str) -> None:
    """HTML and JSON; the chart's camera button saves a PNG.

    Args:
        shown: the explanation.
        body: the answer that it was read from.
        whose: whose list it is, for the file.
    """
    page, whole, _ = st.columns([1, 1, 4])
    page.download_button(
        "HTML",
        explanations.page(shown, whose),
        "why.html",
        "text/html",
        key="why_html",
        type="tertiary",
        icon=":material/download:",
        on_click="ignore",
    )
    whole.download_button(
        "JSON",
        reasons.as_json(body),
        "why.json",
        "application/json",
        key="why_json",
        type="tertiary",
        icon=":material/download:",
        on_click="ignore",
    )
    st.caption(
        t(
            "The camera above the chart saves it as PNG. The address of this page asks the same "
            "for a colleague."
        )
    )
