"""The conversation of "Why this item" after the first answer: instead of, what would change it, how sure, in other runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from llmrec_core.experiments import formats
from llmrec_core.experiments.lists import Entry
from llmrec_core.explain import reading
from pages.shared import charts, reasons, widgets

NOBODY = "–"


@st.fragment
def contrast(question: Mapping[str, Any], body: Mapping[str, Any], entries: Sequence[Entry]) -> None:
    """Instead of …? The difference of two explanations, and what would put the other in front."""
    st.subheader("Instead of?")
    titles = {entry.item_id: f"{entry.place}. {entry.title}" for entry in entries if entry.item_id != question["item"]}
    rival = st.selectbox(
        "Rather than",
        [NOBODY, *titles],
        format_func=lambda one: "choose another item" if one == NOBODY else titles[one],
        key="why_against",
        bind="query-params",
    )
    if rival == NOBODY:
        return
    found = reading.contrast_in(body, rival)
    if found is None:  # a decoder's answer holds its own item only
        asked = {**question, "against": rival}
        widgets.ask("why_contrast", "explain", asked)
        answer = widgets.answer("why_contrast", "explain", asked)
        if answer is None:
            return
        found = {**answer["contrast"], "below": answer["smallest_set"]}
    widgets.say(found["text"])
    st.plotly_chart(
        reasons.value_bars(found["players"], "difference of the two scores (no unit)"),
        key="why_contrast_chart",
        config=charts.CONFIG,
        alt="Shapley values of the difference of two scores",
    )
    widgets.say(found["below"]["text"])


@st.fragment
def change(question: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    """What would change it: the smallest set, and chips that put the list in order again."""
    st.subheader("What would change it?")
    smallest = body.get("smallest_set") or {}
    if smallest.get("text"):
        widgets.say(smallest["text"])
    else:
        st.caption("Choose an item above to see what would put it in front.")
    items = {player["item_id"]: player["title"] for player in body["players"] if player.get("item_id")}
    if not items or not body.get("honesty"):
        return
    kept = st.pills(
        "Take away history items",
        list(items),
        format_func=lambda one: formats.plain(items[one]),
        selection_mode="multi",
        key="why_without",
        help="The list is put in order as if the chosen items had never happened.",
    )
    if not kept:
        return
    asked = {**question, "without": sorted(kept)}
    widgets.ask("why_without_request", "explain", asked)
    found = widgets.answer("why_without_request", "explain", asked)
    if found is None:
        return
    before = sorted(found["without"]["items"], key=lambda row: -row["before"])
    places = {row["item_id"]: place for place, row in enumerate(before, 1)}
    rows = found["without"]["items"]
    widgets.table(
        pd.DataFrame(
            {
                "#": list(range(1, len(rows) + 1)),
                "was": [places[row["item_id"]] for row in rows],
                "Title": [row["title"] for row in rows],
                "Score": [row["score"] for row in rows],
                "before": [row["before"] for row in rows],
            }
        ),
        "why_without_list",
        "without.csv",
        column_config={name: st.column_config.NumberColumn(format="%.3f") for name in ("Score", "before")},
    )


def honesty(question: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    """How far to trust it."""
    panel = body.get("honesty")
    if not panel:
        return
    for warning in panel["warnings"]:
        widgets.say(f"⚠ {warning}")
    with st.expander("How sure is this?"):
        full = {**question, "honesty": "full"}
        if st.button("Check it against chance and other baselines", key="why_check"):
            widgets.ask("why_honesty", "explain", full)
        checked = widgets.answer("why_honesty", "explain", full)
        panel = (checked or body)["honesty"]
        widgets.table(pd.DataFrame(_facts(panel), columns=["", "value"]), "why_honesty", "honesty.csv")
        curves = (checked or body).get("curves")
        if curves:
            st.plotly_chart(
                reasons.curve_lines(curves),
                key="why_curves",
                config=charts.CONFIG,
                alt="Score as the strongest reasons are added and taken away",
            )
        pairs = (checked or body).get("interactions")
        if pairs:
            st.caption("Pairs that are worth more (+) or less (−) together than apart:")
            widgets.table(
                pd.DataFrame(
                    {
                        "One": [p["a"] for p in pairs],
                        "Other": [p["b"] for p in pairs],
                        "Interaction": [p["value"] for p in pairs],
                    }
                ),
                "why_pairs",
                "interactions.csv",
                column_config={"Interaction": st.column_config.NumberColumn(format="%+.4f")},
            )
    for note in body.get("notes") or []:
        widgets.caption(note)


def _facts(panel: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [
        (
            "Subsets scored",
            f"{panel['coalitions']:,} of {panel['of']:,}" + (", so the values are exact" if panel["exact"] else ""),
        ),
        ("Estimated error of the values", formats.share(panel["estimated_error"])),
        ("Base + values − score", f"{panel['additivity_gap']:.1e}"),
        (
            "New scorings for this answer",
            f"{panel['forwards']:,}" + (": all remembered" if panel.get("remembered") else ""),
        ),
        ("Processor time", formats.duration(float(panel["cpu_seconds"]))),
    ]
    if panel.get("usd") is not None:
        rows.append(("Price of this answer", formats.dollars(panel["usd"])))
    faithful = panel.get("faithfulness")
    if faithful and faithful["z"] is not None:
        rows.append(
            (
                "Faithfulness: adding and removing by these values against random orders",
                f"{faithful['z']:.1f} standard deviations better; leaving out one at a time {faithful['z_leave_one_out']:.1f}",
            )
        )
    for row in panel.get("baseline_sensitivity") or []:
        agreement = "undefined" if row["spearman"] is None else f"{row['spearman']:.2f}"
        top = "same" if row["same_top"] else "another"
        rows.append((f"Rank correlation with the baseline '{row['baseline']}'", f"{agreement}, {top} strongest reason"))
    return rows


def compare(question: Mapping[str, Any], body: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """The same question to another run, side by side."""
    others = {run: name for run, name in names.items() if run != question["run"]}
    if not others:
        return
    st.subheader("And in another run?")
    other = st.selectbox(
        "Ask another run",
        [NOBODY, *others],
        format_func=lambda one: "choose a run" if one == NOBODY else others[one],
        key="why_other",
        bind="query-params",
    )
    if other == NOBODY:
        return
    asked = {**question, "run": other}
    widgets.ask("why_other_request", "explain", asked)
    found = widgets.answer("why_other_request", "explain", asked)
    if found is None:
        return
    first, second = st.columns(2)
    for place, run, one in ((first, question["run"], body), (second, other, found)):
        with place:
            widgets.caption(names.get(run, str(run)))
            st.plotly_chart(
                reasons.value_bars(one["players"]), key=f"why_compare_{run}", config=charts.CONFIG, alt="Shapley values"
            )
            widgets.say(str(one.get("text", "")))


def exports(body: Mapping[str, Any], heading: str) -> None:
    """HTML and JSON; the chart's camera button saves a PNG."""
    page, data, _ = st.columns([1, 1, 4])
    page.download_button(
        "HTML", reasons.as_html(body, heading), "why.html", "text/html", key="why_html", type="tertiary",
        icon=":material/download:", on_click="ignore",
    )  # fmt: skip
    data.download_button(
        "JSON", reasons.as_json(body), "why.json", "application/json", key="why_json", type="tertiary",
        icon=":material/download:", on_click="ignore",
    )  # fmt: skip
    st.caption("The camera above the chart saves it as PNG. The address of this page shows the same to a colleague.")
