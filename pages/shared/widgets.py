"""Small pieces that pages share: headings, badges, tables with CSV, method cards, empty states, requests.

Text from data (titles, run names, comments) goes through `say`, `st.text` or a table: never into markdown as it is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import pandas as pd
import streamlit as st

from llmrec_core.experiments import formats, front, views
from llmrec_core.experiments.words import METHODS, METRIC_HELP
from pages.shared import records


def heading(title: str, purpose: str, study: records.Study | None = None) -> None:
    """Title, one sentence on what the page is for, and the badge of a recorded study."""
    st.title(title)
    st.caption(purpose)
    if study is not None and study.recorded:
        recorded_badge(study)


def recorded_badge(study: records.Study) -> None:
    """`recorded on MACHINE, DATE – not yours`."""
    st.badge(formats.plain(badge_text(study)), icon=":material/history:", color="orange")


def badge_text(study: records.Study) -> str:
    first = next((row for row in records.rows(study) if row.device), None)
    where = views.machine(first) if first else "another machine"
    when = day(first) if first else "an unknown date"
    return f"recorded on {where}, {when} – not yours"


def day(row: views.Row) -> str:
    """Date of a run's end."""
    stamp = row.conditions.get("recorded_at") or row.finished
    if isinstance(stamp, (int, float)) or str(stamp).replace(".", "", 1).isdigit():
        return pd.Timestamp(float(stamp), unit="s").strftime("%d %b %Y")
    try:
        return pd.Timestamp(str(stamp)).strftime("%d %b %Y")
    except ValueError:
        return "unknown date"


def say(text: Any, *, size: str = "body") -> None:
    """A sentence that may hold names from data: shown as text, whatever it contains."""
    lead = {"body": "", "large": "##### ", "title": "#### "}[size]
    st.markdown(lead + formats.plain(text))


def empty(sentence: str, *, page: str = "build/train.py", label: str = "Queue a run") -> NoReturn:
    """Why the page has nothing to show and what to do, then stop."""
    st.info(sentence, icon=":material/info:")
    st.page_link(page_path(page), label=label, icon=":material/arrow_forward:")
    st.stop()


def page_path(page: str) -> str:
    """Path of a page file for links."""
    return str(records.ROOT / "pages" / page)


def link(page: str, label: str, **query: str) -> None:
    """A link to a page that keeps the chosen study."""
    study = st.session_state.get("_study")
    kept = {"study": study.key} if study else {}
    st.page_link(page_path(page), label=label, icon=":material/arrow_forward:", query_params={**kept, **query})


def table(frame: pd.DataFrame, key: str, file_name: str, **options: Any) -> Any:
    """A table with its CSV button; cells that a spreadsheet would run are made harmless."""
    shown = st.dataframe(frame, key=f"{key}_table", hide_index=True, **options)
    st.download_button(
        "CSV",
        formats.to_csv(frame),
        file_name,
        "text/csv",
        key=f"{key}_csv",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
        help="The table as CSV. Text that starts like a formula gets a leading apostrophe.",
    )
    return shown


def method_card(*names: str) -> None:
    """How the figures on this page were measured."""
    with st.popover("How this was measured", icon=":material/science:", type="tertiary"):
        for name in names:
            st.markdown(f"**{name.capitalize()}.** {formats.plain(METHODS[name])}")


def conditions(rows: Sequence[views.Row]) -> str:
    """Hardware, data, date and price behind figures, in one line."""
    known = [row for row in rows if row.state == "finished"]
    if not known:
        return ""
    machines = sorted({views.machine(row) or "machine not recorded" for row in known})
    data = sorted({f"{row.spec.data.name} {row.spec.data.content_hash[:8]}".strip() for row in known})
    days = sorted({day(row) for row in known})
    prices = sorted({price_words(row) for row in known} - {""})
    return " · ".join([*machines, *data, ", ".join(days[:2]), *prices[:2]])


def price_words(row: views.Row) -> str:
    """The recorded price with date and source."""
    price = views.Pricing().hourly(row)
    if price is None:
        return ""
    body = row.conditions
    source = ", ".join(str(body[name]) for name in ("price_source", "price_date") if body.get(name))
    used = formats.share(views.Pricing().used(row))
    return f"{formats.dollars(price)} per hour ({source or 'source not recorded'}), {used} utilisation"


def caption(text: str) -> None:
    """A caption that may hold names from data."""
    st.caption(formats.plain(text))


def run_names(rows: Sequence[views.Row]) -> Callable[[str], str]:
    """Run id → name, for pickers."""
    names = {row.run_id: row.name for row in rows}
    return lambda run_id: names.get(run_id, run_id)


# ── requests to the worker ───────────────────────────────────────────────────────────────────────


def ask(key: str, kind: str, payload: Mapping[str, Any]) -> None:
    """Send a request and remember it under `key`; the same question is not asked twice in a session."""
    stamp = json.dumps([kind, payload], sort_keys=True)
    asked = st.session_state.setdefault("_requests", {})
    if asked.get(key, ("", ""))[1] != stamp:
        asked[key] = (records.ledger().request(kind, dict(payload)), stamp)


def forget(key: str) -> None:
    st.session_state.get("_requests", {}).pop(key, None)


def answer(key: str, kind: str, payload: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """The answer to the request under `key`; while it is under way a fragment polls and then reruns the page.

    With `payload`, an answer to another question is not returned.
    """
    request_id, stamp = st.session_state.get("_requests", {}).get(key, (None, ""))
    if request_id is None or (payload is not None and stamp != json.dumps([kind, payload], sort_keys=True)):
        return None
    found = records.ledger().answer(request_id)
    if found is None or found.state in ("queued", "running"):
        _poll(request_id)
        return None
    if found.error or found.answer is None:
        st.error(formats.plain(f"The worker could not answer: {found.error or 'it gave no reason'}"))
        if st.button("Try again", key=f"{key}_again"):
            forget(key)
            st.rerun()
        return None
    return found.answer


@st.fragment(run_every=1.0)
def _poll(request_id: Any) -> None:
    found = records.ledger().answer(request_id)
    if found is not None and found.state not in ("queued", "running"):
        st.rerun()
    workers = [worker for worker in records.ledger().workers() if worker.state not in ("stopped", "lost")]
    if not workers:
        st.warning("The request waits: no worker is running. Start one: `python -m llmrec_core up`")
    elif found is not None and found.state == "running":
        st.info("The worker is answering.", icon="spinner")
    else:
        st.info("Asked. The worker answers before its next run, at most half a minute.", icon="spinner")


def metric_picker(place: Any, key: str) -> str:
    """The quality metric, with what each one means."""
    return place.selectbox(
        "Quality",
        list(front.METRICS),
        format_func=front.METRICS.get,
        key=key,
        bind="query-params",
        help="\n\n".join(f"**{title}**: {METRIC_HELP[name]}" for name, title in front.METRICS.items()),
    )


def protocol_picker(rows: Sequence[views.Row], key: str, hidden: bool = False) -> str | None:
    """The protocol to read; `None` when nothing is measured. With `hidden` the first one is taken without a widget."""
    names = list(dict.fromkeys(name for row in rows for name in row.protocols))
    names.sort(key=lambda name: -sum(name in row.protocols for row in rows))
    if not names:
        return None
    if hidden:
        return names[0]
    return st.selectbox(
        "Protocol",
        names,
        key=key,
        bind="query-params",
        help="split/candidates. Figures under different protocols are never drawn on one axis.",
    )


def scale(values: Sequence[float | None]) -> list[float]:
    """The stops of a limit slider: the measured values rounded up to two digits, dearest last."""
    known = sorted({_round_up(value) for value in values if value})
    return known


def _round_up(value: float) -> float:
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return round(math.ceil(value / step - 1e-9) * step, 12)


def limit_slider(
    place: Any, label: str, stops: Sequence[float], words: Callable[[float], str], key: str
) -> float | None:
    """A slider over the stops with "no limit" at its end; `None` means no limit."""
    options = [*(f"{stop:.6g}" for stop in stops), "none"]
    if len(options) < 2:
        place.caption(f"{label}: nothing measured to limit")
        return None
    chosen = place.select_slider(
        label,
        options,
        value="none",
        format_func=lambda option: "no limit" if option == "none" else f"≤ {words(float(option))}",
        key=key,
        bind="query-params",
    )
    return None if chosen == "none" else float(chosen)
