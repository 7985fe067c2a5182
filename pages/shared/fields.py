"""Fields for numbers: typed exactly, kept over every page, in the address as they were typed.

A browser's own number field turns "12,5" into 125 without a word and rounds what an address brings,
so these are text fields whose content is read by `reading/typed_numbers.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.reading.typed_numbers import as_typed, read_number

_REFUSED = "_refused_fields"


def number_field(
    place: DeltaGenerator,
    label: str,
    key: str,
    *,
    default: float | None = None,
    low: float = 0.0,
    high: float = math.inf,
    help: str | None = None,
    placeholder: str | None = None,
    whole: bool = False,
    shown: str | None = None,
) -> float | None:
    """The number in a field; `None` when it is empty and has no default.

    What cannot be read is refused under the field, and the default holds until it can; `refused`
    tells a button that starts something of it.

    Args:
        place: a column or container.
        label: with the unit.
        key: of the field, which is also its name in the address.
        default: what an untouched field holds.
        low: the smallest number accepted.
        high: the largest.
        help: shown at the label.
        placeholder: shown in an empty field.
        whole: whether a fraction is refused.
        shown: Markdown above the field in place of the label, where that holds a name from data.
    """
    untouched = "" if default is None else as_typed(default)
    # set anew in every run, or the same field on another page would start untouched
    st.session_state[key] = _as_left(key, untouched)
    typed = place.text_input(shown or label, key=key, help=help, placeholder=placeholder)
    _keep(key, typed, untouched)
    if not typed.strip():
        return default
    try:
        return read_number(typed, label, low, high, whole=whole)
    except UsageError as error:
        place.error(number_format.plain(error))
        st.session_state.setdefault(_REFUSED, []).append(key)
        return default


def carried_number(
    label: str, key: str, *, default: float | None = None, low: float = 0.0, high: float = math.inf
) -> float | None:
    """The number of a field that other pages draw; its default where it cannot be read.

    It goes into the address of the page that reads it, so that a link tells the same.

    Args:
        label: as in `number_field`.
        key: as in `number_field`.
        default: as in `number_field`.
        low: as in `number_field`.
        high: as in `number_field`.
    """
    untouched = "" if default is None else as_typed(default)
    typed = _as_left(key, untouched)
    _keep(key, typed, untouched)
    if not typed.strip():
        return default
    try:
        return read_number(typed, label, low, high)
    except UsageError:
        return default


def whole_field(
    place: DeltaGenerator,
    label: str,
    key: str,
    *,
    default: int,
    low: int,
    high: int,
    help: str | None = None,
) -> int:
    """As `number_field` for what is counted: a fraction is refused.

    Args:
        place: a column or container.
        label: what is counted.
        key: of the field, which is also its name in the address.
        default: what an untouched field holds.
        low: the smallest number accepted.
        high: the largest.
        help: shown at the label.
    """
    value = number_field(
        place, label, key, default=default, low=low, high=high, help=help, whole=True
    )
    return default if value is None else int(value)


def begin() -> None:
    """Forget what fields refused the last time that the page was drawn."""
    st.session_state[_REFUSED] = []


def refused(prefix: str) -> bool:
    """Whether a field that was drawn shows a refusal, so that its default is not what was typed.

    Args:
        prefix: of the keys of a page's fields.
    """
    return any(key.startswith(prefix) for key in st.session_state.get(_REFUSED, ()))


# By hand, as a bound widget that is kept over pages would not take what a new address says.


def _as_left(key: str, untouched: str) -> str:
    """What a field holds: from a new address, else as it was left on any page, else untouched.

    What nobody has touched follows a default that has changed.
    """
    before = st.session_state.get(f"_{key}_untouched", untouched)
    st.session_state[f"_{key}_untouched"] = untouched
    address = st.query_params.get(key)
    if address is not None and address != st.session_state.get(f"_{key}_address"):
        return str(address)
    kept = st.session_state.get(f"_{key}_kept", before)
    text = str(st.session_state.get(key, kept))
    return untouched if text == before else text


def _keep(key: str, typed: str, untouched: str) -> None:
    """Keep what was typed for other pages, and in the address unless it is untouched."""
    st.session_state[f"_{key}_kept"] = typed
    if typed != untouched:
        st.query_params[key] = typed
    elif key in st.query_params:
        del st.query_params[key]
    st.session_state[f"_{key}_address"] = st.query_params.get(key)


def limit_field(
    place: DeltaGenerator,
    label: str,
    key: str,
    stops: Sequence[float],
    words: Callable[[float], str],
    *,
    low: float = 0.0,
    high: float = math.inf,
) -> float | None:
    """A limit to type, with a slider over the measured values beside it; `None` for no limit.

    Args:
        place: a column or container.
        label: with the unit.
        key: of the field, which is also its name in the address.
        stops: values of the slider, ascending, in the unit of the field.
        words: how the slider writes a value.
        low: the smallest limit accepted.
        high: the largest limit accepted.
    """
    typed, slider = place.columns([2, 3], vertical_alignment="bottom")
    limit = number_field(typed, label, key, low=low, high=high, placeholder=t("no limit"))
    if not stops:
        slider.caption(t("Nothing measured yet."))
        return limit
    options = [*stops, math.inf]
    labels = {stop: t("no limit") if math.isinf(stop) else words(stop) for stop in options}
    slider_key = f"_{key}_slider"
    st.session_state[slider_key] = (
        math.inf if limit is None else next(stop for stop in options if stop >= limit)
    )
    slider.select_slider(
        label,
        options,
        key=slider_key,
        format_func=labels.__getitem__,
        label_visibility="collapsed",
        on_change=partial(_take_over, slider_key, key),
    )
    return limit


def _take_over(slider_key: str, key: str) -> None:
    """Write the slider's value into the field."""
    stop = st.session_state[slider_key]
    st.session_state[key] = "" if math.isinf(stop) else as_typed(stop)


def scale(values: Sequence[float | None]) -> list[float]:
    """The stops of a limit's slider: the measured values rounded up to two digits, ascending."""
    return sorted({_round_up(value) for value in values if value})


def _round_up(value: float) -> float:
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return round(math.ceil(value / step - 1e-9) * step, 12)
