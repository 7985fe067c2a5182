"""What drives the model: reasons over many users, how they differ between runs, and whether they are about the model."""

import pandas as pd
import streamlit as st

from llmrec_core.experiments import formats
from llmrec_core.explain import globalview
from pages.shared import charts, frame, people, reasons, records, widgets

NONE = "none"
VIEWS = {
    "recency": "How far back in the history (1 = newest)",
    "genre": "First genre of the history item",
    "popularity": "How popular the history item is",
}

study = frame.study()
widgets.heading(
    "What drives the model",
    "One explanation says why one person got one item; this page explains many and adds them up.",
    study,
)
if study is None:
    widgets.empty("There is no study yet. Queue a run; when it has finished its reasons can be added up.")
rows = [row for row in records.rows(study) if row.state == "finished"]
if not rows:
    widgets.empty(
        "No run of this study has finished yet, so there is nothing to explain.",
        page="build/runs.py",
        label="Watch the runs",
    )
if study.recorded:
    st.info(
        "A recorded study has no models to ask, and its few recorded explanations are too few to add up. Run a study of "
        "your own: `python -m llmrec_core demo`."
    )
    st.stop()

run_column, other_column, users_column = st.columns([2, 2, 1])
ids = [row.run_id for row in rows]
default = people.default_runs(rows, 2)[-1]
run_id = run_column.selectbox(
    "Run", ids, index=ids.index(default), format_func=widgets.run_names(rows), key="what_run", bind="query-params"
)
others = [NONE, *(one for one in ids if one != run_id)]
names = widgets.run_names(rows)
other_id = other_column.selectbox(
    "Compare with",
    others,
    format_func=lambda one: "no other run" if one == NONE else names(one),
    key="what_other",
    bind="query-params",
    help="Two model sizes, or fp32 and int8 of the same weights: do the reasons stay the same?",
)
users = users_column.number_input("Users", 5, 200, 30, 5, key="what_users", help="A sample fixed by its seed.")
check_column, attribute_column = st.columns([2, 3], vertical_alignment="bottom")
randomise = check_column.toggle(
    "Check against random layers",
    value=True,
    key="what_randomise",
    help="Explanations of a model whose layers are drawn anew must not look like the real one's.",
)
attributes = attribute_column.multiselect(
    "Bias probe: put these user attributes into the prompt",
    ["gender", "age", "occupation"],
    key="what_attributes",
    accept_new_options=True,
    help="Text models only. Which share of all reasons falls on them?",
)

question = {"run": run_id, "scope": "model", "users": int(users), "randomise": randomise, "attributes": attributes}
plain = {"run": other_id, "scope": "model", "users": int(users), "randomise": False, "attributes": []}
if st.button("Explain this many users", key="what_ask", type="primary"):
    widgets.ask("what_request", "explain", question)
    if other_id != NONE:
        widgets.ask("what_other_request", "explain", plain)
body = widgets.answer("what_request", "explain", question)
second = widgets.answer("what_other_request", "explain", plain) if other_id != NONE else None
if body is None:
    st.caption(
        "For each user the best item of their candidates is explained from 64 subsets of what the model read; half a "
        "minute for 30 users of a small language model, seconds for the others."
    )
    st.stop()

found = body["rows"]
st.subheader(f"What moves the score, {body['users']} users")
for by, title in VIEWS.items():
    parts = body["groups"][by][:12]
    if parts:
        st.markdown(f"**{title}**")
        st.plotly_chart(
            reasons.group_bars(parts, "score units"),
            key=f"what_{by}_chart",
            config=charts.CONFIG,
            alt=f"Mean absolute Shapley value by {by} with 95 % intervals",
        )
if body.get("fields"):
    st.markdown("**History against the candidate's own fields**")
    st.plotly_chart(
        reasons.group_bars(body["fields"], "score units"),
        key="what_fields_chart",
        config=charts.CONFIG,
        alt="Mean absolute Shapley value of history items and candidate fields",
    )

st.subheader("A simple rule that imitates it")
rule = body.get("surrogate")
if rule is None:
    st.caption("Too few users for a rule that can be tested on users it has not seen; take at least 5.")
else:
    fidelity = rule["fidelity_r2"]
    said = "not defined" if fidelity is None else f"{fidelity:.2f}"
    st.caption(
        f"A linear rule fitted to {rule['rows']} values explains R² = {said} of them on users it has not seen."
        + (
            ""
            if fidelity is not None and fidelity >= 0.3
            else " That is little: do not read it as what the model does."
        )
    )
    table = pd.DataFrame(
        {
            "What is seen of a history item": [name.replace("_", " ") for name in rule["coefficients"]],
            "Value per standard deviation": list(rule["coefficients"].values()),
        }
    )
    widgets.table(
        table,
        "what_rule",
        "surrogate.csv",
        column_config={"Value per standard deviation": st.column_config.NumberColumn(format="%+.4f")},
    )


def between(part: dict) -> str:
    """`0.42 (0.31 to 0.52)`."""
    return f"{part['mean']:.2f} ({part['low']:.2f} to {part['high']:.2f})"


if second is not None:
    st.subheader("The same reasons in both runs?")
    same = globalview.agreement(found, second["rows"])
    if same["users"]:
        widgets.say(
            f"{names(run_id)} and {names(other_id)}: rank correlation of the values {between(same['spearman'])}, the same "
            f"strongest reason for {formats.share(same['same_top']['mean'])} of {same['users']} users, the same "
            f"recommended item for {formats.share(same['same_item']['mean'])}."
        )
    else:
        widgets.say(same["reason"])

if body.get("randomisation") or body.get("bias") or body.get("reasons"):
    st.subheader("Checks")
    random = body.get("randomisation")
    if random and random["users"]:
        mean = random["mean_abs_spearman"]["mean"]
        verdict = "as it must be" if mean <= 0.35 else "⚠ too alike: these reasons may not be about what was learned"
        widgets.say(
            f"Against random layers: mean |rank correlation| {between(random['mean_abs_spearman'])}, {verdict}. "
            "Two unrelated orders of ten reasons have 0.27."
        )
    for one in body.get("bias") or []:
        widgets.say(
            f"Bias probe: {one['attribute']} carries {formats.share(one['mean'])} "
            f"({formats.share(one['low'])} to {formats.share(one['high'])}) of all reasons of {one['users']} users when it "
            "is put into the prompt."
        )
    for reason in body.get("reasons") or []:
        widgets.caption(reason)
with st.expander("All values"):
    shown = pd.DataFrame(found)[["user_id", "item_id", "player", "kind", "recency", "genre", "value", "error"]]
    widgets.table(shown, "what_all", "values.csv")
widgets.caption(
    f"{names(run_id)} · {formats.duration(float(body['seconds']))} of the worker · {widgets.conditions([rows[ids.index(run_id)]])}"
)
widgets.method_card("explanation")
