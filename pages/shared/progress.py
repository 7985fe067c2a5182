"""Progress of a study, polled from the ledger by a fragment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from llmrec_core.experiments import formats
from llmrec_core.experiments.study import seconds_left
from pages.shared import records, widgets

ACTIVE = ("queued", "running", "paused")
ORDER = {"running": 0, "failed": 1, "finished": 2, "paused": 3, "queued": 4, "cancelled": 5}
"""What a reader looks for first."""


@st.fragment(run_every=2.0)
def running(study: records.Study, *, links: bool = True) -> None:
    """What runs and what waits; reruns the page when a run has ended."""
    found = records.runs(study)
    active = [run for run in found if run.state == "running"]
    waiting = sum(run.state in ("queued", "paused") for run in found)
    done = sum(run.state == "finished" for run in found)
    failed = sum(run.state == "failed" for run in found)
    if _ended(study, found):
        st.rerun()
    st.progress(done / len(found) if found else 0.0, f"{done} of {len(found)} runs finished")
    for run in active:
        st.progress(share(run), formats.plain(f"{run.name}: {phase(run)}"))
    if waiting:
        st.caption(f"{waiting} waiting.")
    left = seconds_left(found, datetime.now(UTC)) if active or waiting else None
    if left:
        st.caption(f"About {formats.duration(left)} left, by the pace of the runs so far.")
    if failed and links:
        widgets.link("build/runs.py", f"{failed} failed: read why")
    elif failed:
        st.caption(f"{failed} failed; the reason stands in the table.")
    if not active and not waiting:
        st.caption("Nothing is running or waiting in this study.")


def _ended(study: records.Study, found: list[Any]) -> bool:
    """Whether the set of ended runs has changed since the last look of this session."""
    now = tuple(run.id for run in found if run.state not in ACTIVE)
    key = f"_ended_{study.key}"
    before = st.session_state.get(key)
    st.session_state[key] = now
    return before is not None and before != now


def share(run: Any) -> float:
    """Done share of the running phase, 0 … 1."""
    total = run.progress_total or 0
    return min(1.0, max(0.0, (run.progress_done or 0) / total)) if total else 0.0


def phase(run: Any) -> str:
    """The running phase in words."""
    if not run.progress_phase:
        return run.state
    total = f" of {formats.count(run.progress_total)}" if run.progress_total else ""
    return f"{run.progress_phase}, {formats.count(run.progress_done or 0)}{total}"
