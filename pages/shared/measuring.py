"""Buttons that queue work for the worker: how long it takes, who may, how far it is, and the end.

One button may ask about several runs, a question each: they wait together, and a run that cannot
be measured keeps no other from it.
"""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from llmrec_core.access import Role
from llmrec_core.contract.requests import MEASUREMENT_LIMIT_S, Request, kind_of, to_json
from llmrec_core.language import t
from llmrec_core.ledger.rows import RequestRow
from llmrec_core.reading import number_format
from llmrec_core.retelling import retold
from pages.shared import access, records, widgets

WAITING = ("queued", "running")


def button(
    key: str,
    label: str,
    expected_s: float | None,
    *,
    longest_s: float | None = None,
    usual_s: float | None = None,
    role: Role = "analyst",
    ready: bool = True,
    icon: str = ":material/play_arrow:",
) -> bool:
    """Draw a button that queues work, with the time that the work takes here.

    Args:
        key: of the button.
        label: what it does.
        expected_s: of all that it queues; `None` where this machine has not measured it.
        longest_s: of the longest question among it; `None` takes the whole.
        usual_s: from asking to the answer, as it was lately; told where the work itself was not
            measured, and never a reason to turn the button off, as it holds the wait in line.
        role: that the work needs; below it the button does nothing.
        ready: whether everything is chosen that it needs; no time is told before.
        icon: of the button.

    Returns:
        Whether it was clicked.
    """
    allowed = access.may(role)
    longest_s = expected_s if longest_s is None else longest_s
    fits = longest_s is None or longest_s <= MEASUREMENT_LIMIT_S
    if ready:
        label = _timed(label, expected_s, usual_s)
    if longest_s is not None and not fits:
        st.warning(
            t(
                "One of these would take about {expected}, and the worker gives up after {limit}: "
                "ask about fewer people, or use the command.",
                expected=number_format.about(longest_s),
                limit=number_format.about(MEASUREMENT_LIMIT_S),
            )
        )
    return st.button(
        label,
        key=key,
        icon=icon,
        disabled=not (allowed and fits and ready),
        help=None if allowed else t("This needs the role {role}.", role=role),
    )


def _timed(label: str, expected_s: float | None, usual_s: float | None) -> str:
    """The label with the time of the work; where that is not known, what is known stands above."""
    if expected_s is not None:
        return t("{what}, about {time}", what=label, time=number_format.about(expected_s))
    if usual_s is None:
        widgets.caption(t("How long this takes has not been measured on this machine."))
    else:
        widgets.caption(
            t(
                "Such answers usually come {usual} after they are asked for, waiting in line "
                "included.",
                usual=number_format.duration(usual_s),
            )
        )
    return label


def ask(key: str, question: Request) -> None:
    """Queue a question under `key`, in place of an earlier one; the same is not queued twice."""
    kind, payload = kind_of(question), to_json(question)
    earlier = widgets.asked(key, kind)
    if earlier is not None and earlier.state in WAITING and earlier.payload == payload:
        return
    widgets.forget(key)
    widgets.ask(key, kind, payload)


def ask_each(key: str, questions: Mapping[str, Request]) -> None:
    """Queue a question about each of several runs.

    Args:
        key: of them all.
        questions: by run id.
    """
    for run_id, question in questions.items():
        ask(f"{key}_{run_id}", question)


def wait_each(key: str, kind: str, names: Mapping[str, str]) -> None:
    """Draw how far the questions of `ask_each` are, and what became of those without an answer.

    Once none waits any more, those that were answered leave the address.

    Args:
        key: as in `ask_each`.
        kind: of these questions.
        names: what each run is called, by run id.
    """
    found = {run_id: widgets.asked(f"{key}_{run_id}", kind) for run_id in names}
    asked = {run_id: question for run_id, question in found.items() if question is not None}
    for run_id, question in asked.items():
        if question.state == "failed":
            reason = retold(question.error or "") or t("it gave no reason")
            st.error(
                number_format.plain(
                    t("{name} was not measured: {error}", name=names[run_id], error=reason)
                )
            )
    waiting = sum(question.state in WAITING for question in asked.values())
    if waiting:
        _poll(key, tuple(question.id for question in asked.values()), waiting)
        return
    for run_id, question in asked.items():
        if question.state != "failed":
            widgets.forget(f"{key}_{run_id}")


@st.fragment(run_every=1.0)
def _poll(key: str, request_ids: tuple[str, ...], waiting_before: int) -> None:
    """How many are measured, where the next one stands, and a button to give up all that wait."""
    waiting = _waiting(request_ids)
    if len(waiting) != waiting_before:
        st.rerun()
    if len(request_ids) > 1:
        st.caption(
            t(
                "{done} of {count} runs are done.",
                done=len(request_ids) - len(waiting),
                count=len(request_ids),
            )
        )
    if waiting:
        running = (question for question in waiting if question.state == "running")
        widgets.standing(next(running, waiting[0]))
    if st.button(t("Cancel"), key=f"{key}_cancel", icon=":material/close:"):
        for question in reversed(waiting):  # the last first, or the worker would begin with it
            records.ledger().cancel_request(question.id)
        st.rerun()


def _waiting(request_ids: tuple[str, ...]) -> list[RequestRow]:
    ledger = records.ledger()
    answers = [ledger.answer(request_id) for request_id in request_ids]
    return [row for row in answers if row is not None and row.state in WAITING]


def from_terminal(command: str) -> None:
    """Draw the command that does the same, for those who look for it."""
    with st.expander(t("From a terminal")):
        st.caption(number_format.code_span(command))
