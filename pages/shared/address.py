"""Choices that stand in the address by their ids, so that a link shows a colleague the same.

The address is the only place where they are kept: what it says is shown, and a choice changes it.

Streamlit's own binding writes what a reader sees, a title with its place or a translated word; such
a link means something else as soon as the list, the name or the language changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import urlencode

import streamlit as st
from streamlit.elements.lib.mutable_tab_container import TabContainer

from llmrec_core.language import t
from llmrec_core.reading.number_format import plain

NOTHING = ""
"""What stands in the address where nothing is chosen of a list that has a default."""


def choose(
    widget: Callable[..., Any],
    label: str,
    options: Mapping[str, str],
    key: str,
    *,
    default: str,
    aliases: Mapping[str, str] | None = None,
    several: Mapping[str, Sequence[str]] | None = None,
    free: bool = False,
    moving: bool = False,
    **more: Any,  # noqa: ANN401 - whatever the widget takes
) -> str:
    """The id that is chosen in a widget, from the address when the page is opened.

    Where the address holds a word that fits several ids, the page asks which, and stops.

    Args:
        widget: a select box or a segmented control, e.g. `st.selectbox` or a column's.
        label: what it is called.
        options: what is shown by id.
        key: of the widget and in the address.
        default: id that is chosen first.
        aliases: other words in the address, with the ids that they mean.
        several: words in the address that may mean one of several ids.
        free: whether something else may be typed.
        moving: whether the default may be another one tomorrow; it then stands in the address too,
            where a default that stays is left out.
        **more: passed on to the widget.
    """
    wanted = st.query_params.get(key, default)
    if wanted not in options and wanted in (several or {}):
        fitting = {name: options[name] for name in (several or {})[wanted] if name in options}
        _ask_which(label, wanted, fitting, key)
    wanted = (aliases or {}).get(wanted, wanted)
    usable = free or wanted in options
    if not usable and _came_with_the_link(key, wanted):
        st.warning(
            plain(
                t(
                    "The address asks for “{wanted}”, which is no choice of “{label}” here: "
                    "“{shown}” is shown.",
                    wanted=wanted,
                    label=label,
                    shown=options.get(default, default),
                )
            ),
            icon=":material/warning:",
        )
    st.session_state[key] = wanted if usable else default

    def changed() -> None:
        value = st.session_state[key]
        _write(key, "" if value is None or (value == default and not moving) else str(value))

    chosen = _drawn(widget, label, options, key, changed, more)
    value = str(chosen if chosen is not None else default)
    if moving:
        _write(key, value)
    return value


def _ask_which(label: str, wanted: str, options: Mapping[str, str], key: str) -> NoReturn:
    """Let the reader choose among what a word in the address fits, and draw nothing else."""
    which = "; ".join(f"{identity}: {shown}" for identity, shown in options.items())
    st.warning(
        plain(
            t(
                "The address asks for “{wanted}”, which fits {count} choices of “{label}”: "
                "{which}. Choose one of them.",
                wanted=wanted,
                count=len(options),
                label=label,
                which=which,
            )
        ),
        icon=":material/warning:",
    )
    chosen = st.selectbox(
        label,
        list(options),
        index=None,
        format_func=options.__getitem__,
        key=f"{key}_which",
        placeholder=t("Choose one"),
    )
    if chosen is not None:
        _write(key, chosen)
        st.rerun()
    st.stop()


def choose_several(
    widget: Callable[..., Any],
    label: str,
    options: Mapping[str, str],
    key: str,
    *,
    default: Sequence[str] = (),
    moving: bool = False,
    most: int | None = None,
    **more: Any,  # noqa: ANN401 - whatever the widget takes
) -> list[str]:
    """The ids that are chosen in a widget for several, from the address.

    Ids that cannot be chosen yet stay in the address until something else is chosen. Where the
    default holds some and none is chosen, the key stands empty in the address.

    Args:
        widget: a widget for several, e.g. `st.pills`.
        label: what it is called.
        options: what is shown by id.
        key: of the widget and in the address.
        default: ids that are chosen first, and where the address holds none of these options.
        moving: whether the default may be another one tomorrow; it then stands in the address too.
        most: how many may be chosen; of a longer address the first ones are.
        **more: passed on to the widget, which is told of `most` as `max_selections`.
    """
    if most is not None:
        more["max_selections"] = most
    wanted = list(dict.fromkeys(st.query_params.get_all(key)))
    usable = [value for value in wanted if value in options][:most]
    if not usable and wanted != [NOTHING]:
        usable = [value for value in default if value in options]
    st.session_state[key] = usable

    def kept(chosen: list[str]) -> None:
        if chosen == list(default) and not moving:
            _write(key, [])
        else:
            _write(key, chosen or ([NOTHING] if default else []))

    def changed() -> None:
        kept(list(st.session_state[key]))

    chosen = _drawn(widget, label, options, key, changed, more)
    if moving:
        kept(list(chosen))
    return list(chosen)


def _drawn(
    widget: Callable[..., Any],
    label: str,
    options: Mapping[str, str],
    key: str,
    changed: Callable[[], None],
    more: Mapping[str, Any],
) -> Any:  # noqa: ANN401 - whatever the widget returns
    """What a widget returns that offers ids and shows what each is called."""
    return widget(
        label,
        list(options),
        format_func=lambda identity: options.get(identity, identity),
        key=key,
        on_change=changed,
        **more,
    )


def tabs(titles: Mapping[str, str], key: str) -> list[TabContainer]:
    """Tabs of which the open one stands in the address by its id.

    Args:
        titles: what is shown by id; the first one is open first.
        key: of the tabs and in the address.
    """
    first = next(iter(titles))
    wanted = st.query_params.get(key, first)
    st.session_state[key] = titles.get(wanted, titles[first])

    def changed() -> None:
        opened = next(name for name, title in titles.items() if title == st.session_state[key])
        _write(key, "" if opened == first else opened)

    return list(st.tabs(list(titles.values()), key=key, on_change=changed))


def remember(key: str, value: str) -> None:
    """Put a word into the address, or take it out when it is empty."""
    _write(key, value)


def link(**more: str) -> str:
    """The address of the page with all that stands in it, to be sent to somebody.

    Args:
        **more: what a bound widget will put there after this run; an empty word is left out.
    """
    names = [name for name in st.query_params if name not in more]
    query = [(name, value) for name in names for value in st.query_params.get_all(name)]
    query += [(name, value) for name, value in more.items() if value]
    return f"{st.context.url or ''}?{urlencode(query)}"


def _came_with_the_link(key: str, value: str) -> bool:
    """Whether the page was opened with this value, not left with it by a later choice."""
    if key not in st.session_state:
        st.session_state[f"{key}_of_link"] = value
    return bool(st.session_state.get(f"{key}_of_link") == value)


def _write(key: str, value: str | Sequence[str]) -> None:
    if value:
        st.query_params[key] = value
    elif key in st.query_params:
        del st.query_params[key]
