"""One run in full, and two runs compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from llmrec_core.experiments import formats, tables, views
from llmrec_core.experiments.front import METRICS
from pages.shared import charts, progress, records, widgets


def headline(row: views.Row, name: str) -> str:
    """A figure for the list of runs; empty while there is none."""
    found = row.request_figure(name) if name.startswith("latency") else row.figure(name)
    return "" if found.value is None else formats.figure(found)


def took(run: Any) -> str:
    """Wall-clock time of the last attempt."""
    if run.started is None or run.finished is None:
        return ""
    return formats.duration(_stamp(run.finished) - _stamp(run.started))


def _stamp(moment: Any) -> float:
    return float(moment) if isinstance(moment, (int, float)) else pd.Timestamp(moment).timestamp()


def one(study: records.Study, run_id: str) -> None:
    """State and controls, curves, before and after, figures, log."""
    run = records.of(study).run(run_id)
    state, stop, retry = st.columns([4, 1, 1])
    with state:
        widgets.say(f"{run.name}: {run.state}, attempt {run.attempt}")
        if run.error:
            st.error(formats.plain(f"{run.error_kind or 'error'}: {run.error}"))
    if not study.recorded:
        if stop.button(
            "Stop", key=f"runs_stop_{run_id}", disabled=run.state not in progress.ACTIVE, icon=":material/stop:"
        ):
            records.ledger().cancel(run_id)
            st.rerun()
        again = run.state in ("failed", "cancelled", "paused")
        if retry.button("Retry", key=f"runs_retry_{run_id}", disabled=not again, icon=":material/replay:"):
            records.ledger().retry(run_id)
            st.rerun()
    if run.state in progress.ACTIVE:
        _live(study, run_id)
    else:
        _curves(study, run_id)
        _log(study, run_id)
    row = next(row for row in records.rows(study) if row.run_id == run_id)
    _before_after(row)
    if row.figures:
        st.subheader("Figures")
        widgets.table(tables.figure_table(row), f"runs_figures_{run_id}", "figures.csv", height=300)
    with st.expander("Spec, versions, conditions", icon=":material/data_object:"):
        st.json(
            {
                "spec": row.spec.to_dict(),
                **{name: row.documents[name] for name in ("versions", "conditions", "device") if name in row.documents},
            }
        )


@st.fragment(run_every=2.0)
def _live(study: records.Study, run_id: str) -> None:
    run = records.of(study).run(run_id)
    if run.state not in progress.ACTIVE:
        st.rerun()
    st.progress(progress.share(run), formats.plain(progress.phase(run)))
    _curves(study, run_id)
    _log(study, run_id)


def _curves(study: records.Study, run_id: str) -> None:
    table = records.of(study).curves(run_id)
    if table.empty:
        return
    figures = charts.curves(table)
    for column, (name, figure) in zip(st.columns(len(figures)), figures.items(), strict=True):
        column.plotly_chart(
            figure, key=f"runs_curve_{run_id}_{name}", config=charts.CONFIG, alt=f"{name} over training steps"
        )


def _log(study: records.Study, run_id: str) -> None:
    lines = [f"{time[11:19]}  {line}" for time, line in records.of(study).logs(run_id, 200)]
    with st.expander(f"Log ({len(lines)})", icon=":material/notes:"):
        st.text("\n".join(lines) or "The run has written nothing yet.")


def _before_after(row: views.Row) -> None:
    """Quality before and after fine-tuning on the same users."""
    body = row.documents.get("training") or {}
    before, after = body.get("before") or {}, body.get("after") or {}
    key = next((name for name in after if name.startswith("ndcg@")), None)
    if key is None:
        return
    st.subheader("Before and after fine-tuning")
    columns = st.columns(3)
    for column, label, values in ((columns[0], "Before", before), (columns[1], "After", after)):
        if values.get(key) is None:
            column.metric(label, "not measured", border=True)
            continue
        spread = f"{values['low']:.3f} to {values['high']:.3f}" if values.get("low") is not None else ""
        column.metric(
            f"{label}: {METRICS.get(key, key)}",
            f"{values[key]:.3f}",
            spread,
            delta_color="off",
            delta_arrow="off",
            border=True,
        )
    change = body.get("difference")
    if change:
        apart = "distinguishable" if change["low"] > 0 or change["high"] < 0 else "not distinguishable"
        columns[2].metric(
            "Change, paired",
            f"{change['mean']:+.3f}",
            f"{change['low']:+.3f} to {change['high']:+.3f}, {apart}",
            delta_color="off",
            delta_arrow="off",
            border=True,
        )
    first, last = body.get("first_loss"), body.get("last_loss")
    if first is not None and last is not None:
        st.caption(f"Training loss {first:.3f} at the start, {last:.3f} at the end; {after.get('users') or '?'} users.")


def two(study: records.Study, rows: Sequence[views.Row]) -> None:
    """What differs in the specs, and the paired differences in quality."""
    ids = [row.run_id for row in rows]
    names = widgets.run_names(rows)
    left, right = st.columns(2)
    a_id = left.selectbox("First", ids, index=len(ids) - 1, format_func=names, key="runs_a", bind="query-params")
    b_id = right.selectbox("Second", ids, index=0, format_func=names, key="runs_b", bind="query-params")
    a, b = (next(row for row in rows if row.run_id == run_id) for run_id in (a_id, b_id))
    shared = [name for name in a.protocols if name in b.protocols]
    if not shared:
        st.warning("The two were measured under different protocols and are not compared.")
        return
    lines = []
    for metric in METRICS:
        values = records.per_user(study, [a, b], metric, shared[0])
        found = views.difference(values[a_id], values[b_id])
        if found is not None:
            lines.append((METRICS[metric], found))
    if lines and a_id != b_id:
        st.plotly_chart(
            charts.intervals(
                [name for name, _ in lines],
                [found.mean for _, found in lines],
                [found.low for _, found in lines],
                [found.high for _, found in lines],
                "first − second, paired over users, 95 % interval",
            ),
            key="runs_intervals",
            config=charts.CONFIG,
            alt="Paired differences with intervals",
        )
        for name, found in lines:
            apart = "" if found.distinguishable else " – not distinguishable"
            st.caption(f"{name}: {found.mean:+.3f} ({found.low:+.3f} to {found.high:+.3f}), {found.n} users{apart}")
    st.subheader("What differs in the spec")
    widgets.table(tables.spec_differences(a, b), "runs_spec", "differences.csv")
