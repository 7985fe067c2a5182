"""One run in full: state and controls, curves, before and after, figures, log."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from llmrec_core.contract.spec import RunSpec, run_from_dict, stored_run
from llmrec_core.language import t
from llmrec_core.ledger.rows import RunRow
from llmrec_core.reading import gate, number_format, study_tables, teaching
from llmrec_core.reading.groups import name_without_seed
from llmrec_core.reading.pareto import METRICS
from llmrec_core.reading.row import Row
from llmrec_core.reading.run_list import state_words
from llmrec_core.retelling import retold
from pages.build import run_charts
from pages.shared import frame, progress, records, tables, widgets
from pages.shared.charts import CONFIG

NOTES = ("smaller_batch", "damaged_checkpoints")
"""Documents with a sentence on what a run did otherwise than it was asked to."""


def section(study: records.Study, run_id: str) -> None:
    """State and controls, curves, before and after, figures, log."""
    run = records.of(study).run(run_id)
    row = next(row for row in records.rows(study) if row.run_id == run_id)
    widgets.say(
        t(
            "{name}: {state}, attempt {attempt}",
            name=row.name,
            state=state_words(run),
            attempt=run.attempt,
        )
    )
    if run.error:
        kind = run.error_kind or t("error")
        st.error(number_format.plain(t("{kind}: {error}", kind=kind, error=retold(run.error))))
    for name in NOTES:
        body = records.document(study, run_id, name)
        if body:
            st.warning(number_format.plain(retold(body["sentence"])), icon=":material/info:")
    if not study.recorded:
        _controls(study, run)
    if run.state in progress.ACTIVE:
        _live(study, run_id)
    else:
        _curves(study, run_id)
        _log(study, run_id)
    _before_after(row)
    for sentence in teaching.sentences(row, records.rows(study), frame.pricing()):
        widgets.say(sentence)
    _gate(study, row)
    if row.figures:
        st.header(t("Figures"))
        tables.table(
            study_tables.figure_table(row), f"runs_figures_{run_id}", "figures.csv", height=300
        )
    with st.expander(t("Spec, versions, conditions"), icon=":material/data_object:"):
        shown = ("versions", "conditions", "device")
        parts = {name: row.documents[name] for name in shown if name in row.documents}
        st.json({"spec": row.spec.to_dict(), **parts})


def _controls(study: records.Study, run: RunRow) -> None:
    """Stop, resume, put first, repeat with another seed."""
    ledger = records.ledger()
    stop, resume, first, clone = st.columns(4)
    stopping = run.state == "running" and run.cancel_requested
    if stop.button(
        t("Stopping…") if stopping else t("Stop"),
        key=f"runs_stop_{run.id}",
        disabled=stopping or run.state not in progress.ACTIVE,
        icon=":material/stop:",
    ):
        ledger.cancel(run.id)
        st.rerun()
    if resume.button(
        _resume_label(run),
        key=f"runs_retry_{run.id}",
        disabled=run.state not in ("failed", "cancelled", "paused"),
        icon=":material/replay:",
    ):
        ledger.retry(run.id)
        st.rerun()
    if first.button(
        t("Put first"),
        key=f"runs_first_{run.id}",
        disabled=run.state != "queued",
        icon=":material/vertical_align_top:",
        help=t("The next run that starts."),
    ):
        ledger.put_first(run.id)
        st.rerun()
    again = _repeated(study, run)
    if clone.button(
        t("Repeat with seed {seed}", seed=again.seed),
        key=f"runs_clone_{run.id}",
        icon=":material/content_copy:",
        help=t("The same run with another seed; pages read both as one row with its spread."),
    ):
        ledger.enqueue(run_from_dict(again.to_dict(), run.id), study.name)
        st.rerun()


def _resume_label(run: RunRow) -> str:
    """What the button does: go on from the last checkpoint, or start again."""
    steps = records.checkpoint_steps(run.id)
    if run.state in ("failed", "cancelled", "paused") and steps:
        return t("Resume from step {step}", step=steps[-1])
    return t("Run again") if run.attempt else t("Let it run")


def _repeated(study: records.Study, run: RunRow) -> RunSpec:
    """The run's spec with the next seed that no run of its name has."""
    spec = stored_run(run.spec)
    name = name_without_seed(run.name)
    seeds = [
        int(other.spec.get("seed", 0))
        for other in records.runs(study)
        if name_without_seed(other.name) == name
    ]
    seed = max(seeds) + 1
    return dataclasses.replace(spec, name=t("{name}, seed {seed}", name=name, seed=seed), seed=seed)


@st.fragment(run_every=2.0)
def _live(study: records.Study, run_id: str) -> None:
    run = records.of(study).run(run_id)
    if run.state not in progress.ACTIVE:
        st.rerun()
    st.progress(progress.share(run), number_format.plain(progress.phase_of(run)))
    _curves(study, run_id)
    _log(study, run_id)


def _curves(study: records.Study, run_id: str) -> None:
    table = records.of(study).curves(run_id)
    if not table.empty:
        run_charts.draw_curves({run_id: table}, f"runs_curve_{run_id}")


def _log(study: records.Study, run_id: str) -> None:
    lines = [f"{time[11:19]}  {line}" for time, line in records.of(study).logs(run_id, 200)]
    with st.expander(t("Log ({count})", count=len(lines)), icon=":material/notes:"):
        st.text("\n".join(lines) or t("The run has written nothing yet."))


def _before_after(row: Row) -> None:
    """Quality before and after fine-tuning on the same users."""
    body = row.documents.get("training") or {}
    before, after = body.get("before") or {}, body.get("after") or {}
    key = next((name for name in after if name.startswith("ndcg@")), None)
    if key is None:
        return
    st.header(t("Before and after fine-tuning"))
    left, middle, right = st.columns(3)
    title = METRICS.get(key, key)
    _metric(left, t("Before: {metric}", metric=title), before.get(key), before)
    _metric(middle, t("After: {metric}", metric=title), after.get(key), after)
    change = body.get("difference")
    if change:
        sure = change["low"] > 0 or change["high"] < 0
        spread = t("{low:+.3f} to {high:+.3f}", low=change["low"], high=change["high"])
        right.metric(
            t("Change, paired"),
            number_format.signed(change["mean"]),
            spread if sure else t("{spread}, not distinguishable", spread=spread),
            delta_color="off",
            delta_arrow="off",
            border=True,
        )
    first, last = body.get("first_loss"), body.get("last_loss")
    if first is not None and last is not None:
        st.caption(
            t(
                "Training loss {first:.3f} at the start, {last:.3f} at the end; {users} users.",
                first=first,
                last=last,
                users=after.get("users") or t("unknown"),
            )
        )


def _gate(study: records.Study, row: Row) -> None:
    """What the gate of a cascade learned, and how many requests it lets through."""
    body = records.document(study, row.run_id, "gate")
    if not body:
        return
    st.header(t("What the language model reads"))
    for sentence in gate.sentences(row, body):
        widgets.say(sentence)
    left, right = st.columns(2)
    left.plotly_chart(
        run_charts.gate_curve(body),
        key=f"runs_gate_{row.run_id}",
        config=CONFIG,
        alt=t("Validation quality by the share of requests that the language model reads"),
    )
    right.plotly_chart(
        run_charts.gains(body),
        key=f"runs_gains_{row.run_id}",
        config=CONFIG,
        alt=t("Gains that the gate expected beside those that came about"),
    )


def _metric(
    place: DeltaGenerator, label: str, value: float | None, body: Mapping[str, Any]
) -> None:
    """A figure with its interval, or that it was not measured."""
    if value is None:
        place.metric(label, t("not measured"), border=True)
        return
    spread = None
    if body.get("low") is not None:
        spread = t("{low:.3f} to {high:.3f}", low=body["low"], high=body["high"])
    place.metric(
        label,
        number_format.quality(value),
        spread,
        delta_color="off",
        delta_arrow="off",
        border=True,
    )
