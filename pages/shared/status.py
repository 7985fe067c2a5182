"""What the worker and this machine do right now, in one line at the top of every page."""

from __future__ import annotations

import psutil
import streamlit as st

from llmrec_core.language import t, tn
from llmrec_core.profiling.live_load import busy_share
from llmrec_core.reading import number_format
from pages.shared import frame, progress, records

LOOK_S = 10.0
"""Seconds between two looks."""


@st.fragment(run_every=LOOK_S)
def draw() -> None:
    """Say what runs, what waits, and how busy the machine is."""
    st.caption(f"{_work()} {_machine()}")


def _work() -> str:
    ledger = records.ledger()
    running = ledger.running_runs()
    questions = ledger.open_questions()
    waits = _waits(ledger.runs_waiting(), questions["queued"])
    workers = frame.live_workers()
    if not workers:
        return t("No worker is running. Start one: `python -m llmrec_core up`.") + waits
    if not running and questions["running"]:
        count = questions["running"]
        return (
            tn(
                "The worker answers {count} question.",
                "The worker answers {count} questions.",
                count,
            )
            + waits
        )
    if not running and any(worker.state == "busy" for worker in workers):
        return t("The worker is busy.") + waits
    if not running:
        return t("The worker has nothing to run.") + waits
    phases = "; ".join(progress.phase_of(run) for run in running)
    return t("Now: {run}.", run=number_format.plain(phases)) + waits


def _waits(runs: int, questions: int) -> str:
    """What waits, in one sentence with a space before it; empty where nothing does."""
    parts = []
    if runs:
        parts.append(tn("{count} run waits", "{count} runs wait", runs))
    if questions:
        parts.append(tn("{count} question waits", "{count} questions wait", questions))
    return " " + t("{waiting}.", waiting=", ".join(parts)) if parts else ""


def _machine() -> str:
    memory = psutil.virtual_memory()
    return t(
        "This machine: processor {busy:.0f} % busy, {used} of {memory} memory in use.",
        busy=100 * busy_share(),
        used=number_format.size(memory.total - memory.available),
        memory=number_format.size(memory.total),
    )
