"""Fields of the Plan page: their numbers have no bounds here, the cost model checks them."""

from __future__ import annotations

import math

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from llmrec_core.costmodel.facts import bounds
from llmrec_core.errors import UsageError
from llmrec_core.language import t
from pages.shared.fields import number_field


def number(place: DeltaGenerator, label: str, value: float, key: str, help_text: str = "") -> float:
    """A number without bounds of its own: the cost model answers what makes no sense.

    Raises:
        UsageError: when the field is empty.
    """
    typed = number_field(place, label, key, default=value, low=-math.inf, help=help_text or None)
    if typed is None or not str(st.session_state[key]).strip():
        raise UsageError(t("{label} is empty; expected a number", label=label))
    return typed


def optional(
    place: DeltaGenerator,
    label: str,
    usual: str,
    key: str,
    help_text: str = "",
    value: float | None = None,
) -> float | None:
    """A number that may stay empty, which means `usual`; an untouched field holds `value`."""
    typed = number_field(
        place,
        label,
        key,
        default=value,
        low=-math.inf,
        placeholder=usual,
        help=help_text or None,
    )
    return typed if st.session_state[key].strip() else None


def whole(quantity: str, value: float) -> int:
    """A whole number of a quantity of the cost model.

    Raises:
        UsageError: for a value that is outside its range or not whole.
    """
    bounds.check(**{quantity: value})
    return int(value)


def readable(value: float) -> float:
    """A number that a field starts from: six digits below 100,000, whole above.

    >>> readable(98630.1369), readable(9863013.6986), readable(0.1234567)
    (98630.1, 9863014.0, 0.123457)
    """
    return float(round(value)) if value >= 1e5 else float(f"{value:.6g}")
