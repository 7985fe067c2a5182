"""Small pieces that pages share: headings, badges, method cards, empty states, requests.

Text from data (titles, run names, comments) goes through `say`, `st.text` or a table: never into
markdown as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from llmrec_core.contract.steps import step_of
from llmrec_core.language import day as date_of
from llmrec_core.language import t, tn
from llmrec_core.ledger.rows import RequestRow
from llmrec_core.reading import number_format, pareto
from llmrec_core.reading.glossary import METHOD_TITLES, METHODS, METRIC_HELP
from llmrec_core.reading.pricing import origin
from llmrec_core.reading.row import Row, machine_of
from llmrec_core.retelling import retold
from pages.shared import frame, records
from pages.shared.address import choose
from pages.shared.navigation import page_path


def heading(title: str, purpose: str, study: records.Study | None = None) -> None:
    """Title with the study's data, one sentence on what the page is for, the badge of a sample."""
    data = records.data_names(study) if study is not None else []
    st.title(number_format.plain(titled(title, data)))
    st.caption(purpose)
    if len(data) > 1:
        caption(
            t(
                "This study holds {count} data sets. Runs on different data are never compared; "
                "the pages show the one that most runs were measured on.",
                count=len(data),
            )
        )
    if study is not None and study.recorded:
        recorded_badge(study)


def titled(title: str, data: Sequence[str]) -> str:
    """A page's title with the data it is about; a question keeps its mark at the end."""
    if not data:
        return title
    if title.endswith(("?", "？")):
        return t("{question} Data: {data}", question=title, data=", ".join(data))
    return t("{title}: {data}", title=title, data=", ".join(data))


def recorded_badge(study: records.Study) -> None:
    """`recorded on MACHINE, DATE – not yours`."""
    st.badge(number_format.plain(badge_text(study)), icon=":material/history:", color="orange")


def badge_text(study: records.Study) -> str:
    """Where and when a recorded study was measured."""
    first = next((row for row in records.rows(study) if row.device), None)
    where = machine_of(first) if first else t("another machine")
    when = day(first) if first else t("an unknown date")
    return t("recorded on {where}, {when} – not yours", where=where, when=when)


def day(row: Row) -> str:
    """Date of a run's end."""
    stamp = row.conditions.get("recorded_at") or row.finished
    try:
        if isinstance(stamp, (int, float)) or str(stamp).replace(".", "", 1).isdigit():
            when = pd.Timestamp(float(stamp), unit="s")
        else:
            when = pd.Timestamp(str(stamp))
    except ValueError:
        return t("unknown date")
    return date_of(when)


def say(text: object, *, size: str = "body") -> None:
    """A sentence that may hold names from data: shown as text, whatever it contains."""
    lead = {"body": "", "large": "## "}[size]  # below the page's title, which is level 1
    st.markdown(lead + number_format.plain(text))


def empty(sentence: str, *, page: str = "build/train.py", label: str = "") -> NoReturn:
    """Why the page has nothing to show and what to do, then stop."""
    st.info(sentence, icon=":material/info:")
    st.page_link(page_path(page), label=label or t("Queue a run"), icon=":material/arrow_forward:")
    st.stop()


def link(page: str, label: str, **query: str) -> None:
    """A link to a page that keeps the chosen study."""
    study = st.session_state.get("_study")
    kept = {"study": study.key} if study else {}
    st.page_link(
        page_path(page),
        label=label,
        icon=":material/arrow_forward:",
        query_params={**kept, **query},
    )


def method_card(*names: str) -> None:
    """How the figures on this page were measured."""
    with st.popover(t("How this was measured"), icon=":material/science:", type="tertiary"):
        for name in names:
            st.markdown(f"**{t(METHOD_TITLES[name])}.** {number_format.plain(t(METHODS[name]))}")


def conditions(rows: Sequence[Row]) -> str:
    """Hardware, data, date and the price in force behind figures, in one line."""
    finished = [row for row in rows if row.state == "finished"]
    if not finished:
        return ""
    machines = sorted({machine_of(row) or t("machine not recorded") for row in finished})
    data = sorted(
        {f"{row.spec.data.name} {row.spec.data.content_hash[:8]}".strip() for row in finished}
    )
    days = sorted({day(row) for row in finished})
    pricing = frame.pricing()
    prices = sorted({origin(row, pricing) for row in finished} - {""})
    return " · ".join([*machines, *data, ", ".join(days[:2]), *prices[:2]])


def caption(text: str) -> None:
    """A caption that may hold names from data."""
    st.caption(number_format.plain(text))


def caption_part(shown: int, total: int) -> None:
    """Say how many of all are shown, where it is not all of them."""
    if shown < total:
        caption(t("Shown: {part}.", part=number_format.part_of(shown, total)))


def run_names(rows: Sequence[Row]) -> Callable[[str], str]:
    """Run id → name, for pickers."""
    names = {row.run_id: row.name for row in rows}
    return lambda run_id: names.get(run_id, run_id)


# ── requests to the worker ───────────────────────────────────────────────────────────────────────


def ask(key: str, kind: str, payload: Mapping[str, Any]) -> None:
    """Send a request and remember it under `key`; a session asks the same question once.

    The request stands in the address too, so that it is not lost when the page is loaded again.

    Args:
        key: what the answer is fetched by, and its name in the address.
        kind: of the request, e.g. `explain`.
        payload: the question.
    """
    stamp = json.dumps([kind, payload], sort_keys=True)
    if _asked(key, kind)[1] != stamp:
        request_id = records.ledger().request(kind, dict(payload))
        st.session_state["_requests"][key] = (request_id, stamp)
        st.query_params[key] = request_id


def forget(key: str) -> None:
    """Drop the request under `key`, so that it can be asked again."""
    st.session_state.get("_requests", {}).pop(key, None)
    st.query_params.pop(key, None)


def _asked(key: str, kind: str) -> tuple[str | None, str]:
    """Id and stamp of the request under `key`, asked in this session or named by the address."""
    requests: dict[str, tuple[str, str]] = st.session_state.setdefault("_requests", {})
    if key not in requests and key in st.query_params:
        question = records.ledger().answer(st.query_params[key])
        if question is None or question.kind != kind:
            st.query_params.pop(key)
        else:
            stamp = json.dumps([kind, question.payload], sort_keys=True)
            requests[key] = (question.id, stamp)
    return requests.get(key, (None, ""))


def asked(key: str, kind: str) -> RequestRow | None:
    """The request under `key` as it stands; `None` where nothing was asked.

    Args:
        key: as in `ask`.
        kind: as in `ask`.
    """
    request_id, _ = _asked(key, kind)
    return None if request_id is None else records.ledger().answer(request_id)


def answer(
    key: str,
    kind: str,
    payload: Mapping[str, Any] | None = None,
) -> dict[str, Any] | None:
    """The answer to the request under `key`; while it is under way a fragment waits for it.

    Args:
        key: as in `ask`.
        kind: as in `ask`.
        payload: the question; an answer to another one is not returned. `None` takes any.
    """
    request_id, stamp = _asked(key, kind)
    if request_id is None or (
        payload is not None and stamp != json.dumps([kind, payload], sort_keys=True)
    ):
        return None
    question = records.ledger().answer(request_id)
    if question is None or question.state == "cancelled":
        st.caption(t("The question was cancelled."))
        if st.button(t("Ask again"), key=f"{key}_again"):
            forget(key)
            st.rerun()
        return None
    if question.state in ("queued", "running"):
        _poll(key, request_id)
        return None
    if question.error or question.answer is None:
        st.error(
            number_format.plain(
                t(
                    "The worker could not answer: {error}",
                    error=retold(question.error or "") or t("it gave no reason"),
                )
            )
        )
        if st.button(t("Try again"), key=f"{key}_again"):
            forget(key)
            st.rerun()
        return None
    return question.answer


@st.fragment(run_every=1.0)
def _poll(key: str, request_id: str) -> None:
    """Where a question stands: its place in line, the usual time, and a button to give it up."""
    ledger = records.ledger()
    question = ledger.answer(request_id)
    if question is None or question.state not in ("queued", "running"):
        st.rerun()
    standing(question)
    if st.button(t("Cancel"), key=f"{key}_cancel", icon=":material/close:"):
        ledger.cancel_request(request_id)
        st.rerun()


def standing(question: RequestRow) -> None:
    """Draw where a question stands in its line, and how far its answer is."""
    if not frame.live_workers():
        st.warning(
            t("The request waits: no worker is running. Start one: `python -m llmrec_core up`")
        )
        return
    st.info(number_format.plain(_place(question)), icon="spinner")
    step = step_of(question.kind, question.payload, records.settings())
    if step is not None and question.state == "running":
        st.progress(step.done / step.total, number_format.plain(retold(step.phase)))


def _place(question: RequestRow) -> str:
    """A question's place in line and how long such answers take, in words."""
    ledger = records.ledger()
    usual = ledger.usual_answer_s(question.kind)
    if question.state == "running":
        place = t("The worker is answering.")
    else:
        before = ledger.questions_before(question.id)
        place = tn(
            "{count} question is answered before this one.",
            "{count} questions are answered before this one.",
            before,
        )
        if not before:
            place = t("This question is the next.")
    if usual is None:
        return place
    return t(
        "{place} Such answers usually come {usual} after they are asked for.",
        place=place,
        usual=number_format.duration(usual),
    )


def metric_picker(place: DeltaGenerator, key: str) -> str:
    """The quality metric, with what each one means."""
    return choose(
        place.selectbox,
        t("Quality"),
        pareto.METRICS,
        key,
        default=next(iter(pareto.METRICS)),
        aliases={title: name for name, title in pareto.METRICS.items()},
        help="\n\n".join(
            f"**{title}**: {t(METRIC_HELP[name])}" for name, title in pareto.METRICS.items()
        ),
    )


def protocol_picker(rows: Sequence[Row], key: str, hidden: bool = False) -> str | None:
    """The protocol to read; `None` when nothing is measured.

    Args:
        rows: of the study.
        key: of the widget.
        hidden: whether the most measured protocol is taken without a widget.
    """
    names = list(dict.fromkeys(name for row in rows for name in row.protocols))
    names.sort(key=lambda name: -sum(name in row.protocols for row in rows))
    if not names:
        return None
    if hidden:
        return names[0]
    return choose(
        st.selectbox,
        t("Protocol"),
        {name: name for name in names},
        key,
        default=names[0],
        moving=True,
        help=t("split/candidates. Figures under different protocols are never drawn on one axis."),
    )
