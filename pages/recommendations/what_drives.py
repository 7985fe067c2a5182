"""What drives the model: reasons over many users, compared between runs and with random layers."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from llmrec_core.contract.requests import ExplainManyRequest, to_json
from llmrec_core.language import marked, t
from llmrec_core.reading import explanations, number_format
from llmrec_core.reading.comparison import why_not_paired
from llmrec_core.retelling import retold
from pages.recommendations import many_checks
from pages.shared import (
    address,
    charts,
    fields,
    frame,
    people,
    reasons,
    records,
    tables,
    widgets,
)

NONE = "none"
MOST_GROUPS = 12
LITTLE = 0.3
SEEN = {
    "recency": marked("recency"),
    "popularity": marked("popularity"),
    "shared_genres": marked("shared genres"),
    "years_apart": marked("years apart"),
    "history_items": marked("history items"),
}
"""What the linear rule sees of a history item, in words."""
"""R² below which a rule must not be read as what the model does."""

study = frame.study()
widgets.heading(
    t("What drives the model"),
    t(
        "One explanation says why one person got one item; this page explains many and adds them "
        "up."
    ),
    study,
)
if study is None:
    widgets.empty(
        t("There is no study yet. Queue a run; when it has finished its reasons can be added up.")
    )
rows = [row for row in records.rows(study) if row.state == "finished"]
if not rows:
    widgets.empty(
        t("No run of this study has finished yet, so there is nothing to explain."),
        page="build/runs.py",
        label=t("Watch the runs"),
    )
if study.recorded:
    st.info(
        t(
            "A recorded study has no models to ask, and its few recorded explanations are too few "
            "to add up. Run a study of your own: `python -m llmrec_core demo`."
        )
    )
    st.stop()

run_column, other_column, users_column = st.columns([2, 2, 1])
name_of = widgets.run_names(rows)
names = {row.run_id: name_of(row.run_id) for row in rows}
run_id = people.choose_run(run_column, rows, names, "what_run")
other_id = address.choose(
    other_column.selectbox,
    t("Compare with"),
    {NONE: t("no other run"), **{other: names[other] for other in names if other != run_id}},
    "what_other",
    default=NONE,
    aliases={row.name: row.run_id for row in rows},
    several=people.of_one_name([row for row in rows if row.run_id != run_id]),
    help=t("Two model sizes, or fp32 and int8 of the same weights: do the reasons stay the same?"),
)
by_id = {row.run_id: row for row in rows}
if other_id != NONE:
    refusal = why_not_paired(by_id[run_id], by_id[other_id], same_people=False)
    if refusal:
        widgets.caption(refusal)
        other_id = NONE
users = fields.whole_field(
    users_column,
    t("Users"),
    "what_users",
    default=30,
    low=5,
    high=200,
    help=t("A sample fixed by its seed."),
)
check_column, attribute_column = st.columns([2, 3], vertical_alignment="bottom")
randomise = check_column.toggle(
    t("Check against random layers"),
    value=True,
    key="what_randomise",
    help=t("Explanations of a model with layers drawn anew must not look like the real one's."),
)
attributes = attribute_column.multiselect(
    t("Bias probe: put these user attributes into the prompt"),
    ["gender", "age", "occupation"],
    key="what_attributes",
    accept_new_options=True,
    placeholder=t("none"),
    help=t("Text models only. Which share of all reasons falls on them?"),
)

question = ExplainManyRequest(
    run=run_id, users=users, randomise=randomise, attributes=tuple(attributes)
)
other_question = replace(question, run=other_id, randomise=False, attributes=())
payload, other_payload = to_json(question), to_json(other_question)
if st.button(
    t("Explain this many users"),
    key="what_ask",
    type="primary",
    disabled=fields.refused("what_"),
):
    widgets.ask("what_request", "explain-many", payload)
    if other_id != NONE:
        widgets.ask("what_other_request", "explain-many", other_payload)
body = widgets.answer("what_request", "explain-many", payload)
second = None
if other_id != NONE:
    second = widgets.answer("what_other_request", "explain-many", other_payload)
if body is None:
    st.caption(
        t(
            "For each user the best item of their candidates is explained from 64 subsets of what "
            "the model read; half a minute for 30 users of a small language model, seconds for "
            "the others."
        )
    )
    st.stop()

st.header(t("What moves the score, {users} users", users=body["users"]))
for by, title in (
    ("recency", t("How far back in the history (1 = newest)")),
    ("genre", t("First genre of the history item")),
    ("popularity", t("How popular the history item is")),
):
    groups = body["groups"][by]
    parts = groups[:MOST_GROUPS]
    if parts:
        st.markdown(f"**{title}**")
        st.plotly_chart(
            reasons.group_bars(parts, t("score units")),
            key=f"what_{by}_chart",
            config=charts.CONFIG,
            alt=t("Mean absolute Shapley value by {by} with 95 % intervals", by=title),
        )
        widgets.caption_part(len(parts), len(groups))
if body.get("fields"):
    st.markdown(t("**History against the candidate's own fields**"))
    st.plotly_chart(
        reasons.group_bars(body["fields"], t("score units")),
        key="what_fields_chart",
        config=charts.CONFIG,
        alt=t("Mean absolute Shapley value of history items and candidate fields"),
    )

st.header(t("A simple rule that imitates it"))
rule = body.get("surrogate")
if rule is None:
    st.caption(
        t("Too few users for a rule that can be tested on users it has not seen; take at least 5.")
    )
else:
    fidelity = rule["fidelity_r2"]
    st.caption(
        t(
            "A linear rule fitted to {rows} values explains R² = {fidelity} of them on users it "
            "has not seen.",
            rows=rule["rows"],
            fidelity=t("not defined") if fidelity is None else f"{fidelity:.2f}",
        )
    )
    if fidelity is None or fidelity < LITTLE:
        st.caption(t("That is little: do not read it as what the model does."))
    coefficient = t("Value per standard deviation")
    seen = [t(SEEN[name]) if name in SEEN else name for name in rule["coefficients"]]
    tables.table(
        pd.DataFrame(
            {
                t("What is seen of a history item"): seen,
                coefficient: list(rule["coefficients"].values()),
            }
        ),
        "what_rule",
        "surrogate.csv",
        column_config={coefficient: st.column_config.NumberColumn(format="%+.4f")},
    )

if second is not None:
    st.header(t("The same reasons in both runs?"))
    same = explanations.agreement(by_id[run_id], by_id[other_id], body["rows"], second["rows"])
    widgets.say(many_checks.agreement_sentence(same, names[run_id], names[other_id]))
lines = many_checks.lines(body)
if lines:
    st.header(t("Checks"))
    for line in lines:
        widgets.say(line)
for reason in body.get("reasons") or []:
    widgets.caption(retold(reason))
with st.expander(t("All values")):
    shown = pd.DataFrame(body["rows"])[
        ["user_id", "item_id", "player", "kind", "recency", "genre", "value", "error"]
    ]
    tables.table(shown, "what_all", "values.csv")
widgets.caption(
    t(
        "{run} · {duration} of the worker · {conditions}",
        run=names[run_id],
        duration=number_format.duration(float(body["seconds"])),
        conditions=widgets.conditions([row for row in rows if row.run_id == run_id]),
    )
)
widgets.method_card("explanation")
