"""Progress of a study, polled by a fragment, and what a person does to its queue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from llmrec_core.language import marked, t, tn
from llmrec_core.ledger.rows import RunRow
from llmrec_core.reading import number_format
from llmrec_core.reading.run_list import state_words
from llmrec_core.running.study import seconds_left
from pages.shared import records, widgets

ACTIVE = ("queued", "running", "paused")
ORDER = {"running": 0, "failed": 1, "finished": 2, "paused": 3, "queued": 4, "cancelled": 5}
"""What a reader looks for first."""


@st.fragment(run_every=2.0)
def running(study: records.Study, *, links: bool = True) -> None:
    """What runs and what waits; reruns the page when a run has ended.

    Args:
        study: the study.
        links: whether failed runs are linked to their page.
    """
    runs = records.runs(study)
    if _ended(study, runs):
        st.rerun()
    active = [run for run in runs if run.state == "running"]
    done, failed, queued, paused = (
        sum(run.state == state for run in runs)
        for state in ("finished", "failed", "queued", "paused")
    )
    st.progress(
        done / len(runs) if runs else 0.0,
        t("{done} of {count} runs finished", done=done, count=len(runs)),
    )
    for run in active:
        st.progress(share(run), number_format.plain(phase_of(run)))
    if queued:
        st.caption(tn("{count} run waits.", "{count} runs wait.", queued))
    if paused:
        st.caption(tn("{count} run is paused.", "{count} runs are paused.", paused))
    _time_left(runs)
    if failed and links:
        widgets.link("build/runs.py", t("{failed} failed: read why", failed=failed))
    elif failed:
        st.caption(t("{failed} failed; the reason stands in the table.", failed=failed))
    if not active and not queued and not paused:
        st.caption(t("Nothing is running or waiting in this study."))


def _time_left(runs: Sequence[RunRow]) -> None:
    """The time until the last waiting run ends; a paused queue does not move."""
    moving = [run for run in runs if run.state != "paused"]
    if not any(run.state in ("running", "queued") for run in moving):
        return
    left = seconds_left(moving, datetime.now(UTC))
    if left:
        st.caption(
            t(
                "About {left} left, from the planned minutes and the pace of the runs so far.",
                left=number_format.duration(left),
            )
        )


def queue_buttons(study: records.Study, runs: Sequence[RunRow]) -> None:
    """Pause the queue of a study, or let it go on."""
    pause, go_on, _ = st.columns([2, 2, 3])
    if pause.button(
        t("Pause the queue"),
        key="runs_pause_queue",
        icon=":material/pause:",
        disabled=not any(run.state == "queued" for run in runs),
        help=t("Waiting runs wait until the queue goes on; those that work are not stopped."),
    ):
        records.ledger().pause_queue(study.name)
        st.rerun()
    if go_on.button(
        t("Let the queue go on"),
        key="runs_resume_queue",
        icon=":material/play_arrow:",
        disabled=not any(run.state == "paused" for run in runs),
    ):
        records.ledger().resume_queue(study.name)
        st.rerun()


def _ended(study: records.Study, runs: Sequence[RunRow]) -> bool:
    """Whether the set of ended runs has changed since the last look of this session."""
    now = tuple(run.id for run in runs if run.state not in ACTIVE)
    key = f"_ended_{study.key}"
    before = st.session_state.get(key)
    st.session_state[key] = now
    return before is not None and before != now


def share(run: RunRow) -> float:
    """Done share of the running phase, 0 … 1."""
    total = run.progress_total or 0
    return min(1.0, max(0.0, (run.progress_done or 0) / total)) if total else 0.0


PHASES = {
    "load": marked("load"),
    "encode": marked("read the texts"),
    "quantise": marked("make the codes"),
    "teach": marked("ask the teacher"),
    "fit": marked("fit"),
    "evaluate": marked("evaluate"),
    "fuse": marked("fuse"),
    "gate": marked("learn the gate"),
}
"""What a run does, as its record names it, in words."""


def phase_of(run: RunRow) -> str:
    """A run and its phase in words."""
    if run.cancel_requested or not run.progress_phase:
        return t("{name}: {state}", name=run.name, state=state_words(run))
    phase = t(PHASES.get(run.progress_phase, run.progress_phase))
    done = number_format.count(run.progress_done or 0)
    if not run.progress_total:
        return t("{name}: {phase}, {done}", name=run.name, phase=phase, done=done)
    return t(
        "{name}: {phase}, {done} of {total}",
        name=run.name,
        phase=phase,
        done=done,
        total=number_format.count(run.progress_total),
    )
