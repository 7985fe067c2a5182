"""Why this item: what of a person's history moved one recommendation, and what would change it."""

import pandas as pd
import streamlit as st

from llmrec_core.contract.requests import ExplainRequest
from llmrec_core.explain import many_rows
from llmrec_core.language import t
from llmrec_core.reading import explanations, lists
from pages.recommendations import asking, conversation
from pages.shared import address, charts, frame, people, reasons, records, tables, widgets

study = frame.study()
widgets.heading(
    t("Why this item"),
    t(
        "A person, their ten recommendations, and how much each history item moved the score of "
        "one of them."
    ),
    study,
)
if study is None:
    widgets.empty(
        t(
            "There is no study yet. Queue a run; when it has finished its recommendations can be "
            "explained."
        )
    )
rows = [row for row in records.rows(study) if row.state == "finished"]
if not rows:
    widgets.empty(
        t("No run of this study has finished yet, so there is nothing to explain."),
        page="build/runs.py",
        label=t("Watch the runs"),
    )

run_column, user_column, item_column = st.columns([2, 1, 2])
name_of = widgets.run_names(rows)
names = {row.run_id: name_of(row.run_id) for row in rows}
run_id = people.choose_run(run_column, rows, names, "why_run")
row = next(row for row in rows if row.run_id == run_id)
recorded = records.document(study, run_id, "explanations") or {}
many = records.of(study).document(run_id, many_rows.DOCUMENT)
document = records.document(study, run_id, "lists")
users = sorted(
    {*recorded, *((document or {}).get("users") or {})},
    key=lambda user: (user not in recorded, len(user), user),
)
user = address.choose(
    user_column.selectbox,
    t("User id"),
    {user: user for user in users},
    "why_user",
    default=users[0] if users else "",
    moving=True,
    free=not study.recorded,
    accept_new_options=not study.recorded,
    placeholder=t("Type a user id"),
    help=t("Users with a recorded explanation come first."),
)
if not user:
    st.info(t("Choose a user."))
    st.stop()

person = people.history_of(document, user)
entries = lists.entries(person.get("items", []))
if not entries and not study.recorded:
    person = asking.list_of(run_id, user)
    entries = lists.entries(person.get("items", []))
saved = recorded.get(user)
if not entries and saved is None:
    st.info(t("There is no list for this user yet."))
    st.stop()
if saved is not None:
    entries = lists.with_item(entries, saved)

by_id = {entry.item_id: entry for entry in entries}
item_id = address.choose(
    item_column.selectbox,
    t("Item"),
    {entry.item_id: f"{entry.place}. {entry.title}" for entry in entries},
    "why_item",
    default=str(saved["item_id"]) if saved else entries[0].item_id,
    moving=True,
)
entry = by_id[item_id]

list_column, reason_column = st.columns([2, 3])
with list_column:
    st.header(t("Recommended"))
    table = pd.DataFrame(
        {
            "#": [line.place for line in entries],
            t("Title"): [line.title for line in entries],
            t("Score"): [line.score for line in entries],
            "✓": ["✓" if line.withheld else "" for line in entries],
        }
    )
    tables.table(
        table,
        "why_list",
        "recommendations.csv",
        column_config={
            "#": st.column_config.Column(width=50),
            "✓": st.column_config.Column(width=50, help=t("✓: the withheld item")),
            t("Score"): st.column_config.NumberColumn(format="%.3f"),
        },
    )
    people.show_history([str(title) for title in person.get("history", [])])

with reason_column:
    st.header(t("Why"))
    # the list is scored in the same passes, so that a further item or a contrast costs nothing
    question = ExplainRequest(
        run=run_id,
        user=user,
        item=item_id,
        listed=tuple(other.item_id for other in entries if other.item_id != item_id),
        occasion="evaluation" if people.history_of(document, user) else "today",
    )
    body = saved if saved and str(saved.get("item_id")) == item_id else None
    if not study.recorded:
        question = asking.dials(question)
        body = asking.ask(question, body)
    elif body is None:
        st.info(
            t(
                "This recorded study explains one item of some users: those listed first. In a "
                "study of your own, any item can be explained."
            )
        )
    if body is not None:
        shown = explanations.read(body, run=names[run_id], title=entry.title, many=many)
        widgets.say(shown.sentence, size="large")
        widgets.say(shown.source)
        for warning in shown.warnings:
            widgets.say(f"⚠ {warning}")
        note = explanations.score_note(shown.explanation, entry.score)
        if note:
            widgets.caption(note)
        st.plotly_chart(
            charts.waterfall(*reasons.steps(shown.explanation)),
            key="why_waterfall",
            config=charts.CONFIG,
            alt=t("Waterfall from the score without history to the score of the item"),
        )
        widgets.caption(reasons.effort(shown.explanation))
        tables.table(
            reasons.value_table(shown.explanation),
            "why_values",
            "shapley.csv",
            column_config={
                t("Reason"): st.column_config.TextColumn(width="medium"),
                t("Shapley value"): st.column_config.NumberColumn(format="%+.4f", width="small"),
                "± 95 %": st.column_config.NumberColumn(format="%.4f", width="small"),
            },
        )
        conversation.exports(shown, body, t("User {user}", user=user))
        live = None if study.recorded else question
        conversation.honesty(live, shown, body)
        conversation.contrast(live, body, entries)
        conversation.change(live, shown)
        if live is not None:
            conversation.compare(live, shown, rows, names)
widgets.caption(f"{names[run_id]} · {widgets.conditions([row])}")
widgets.method_card("explanation")
