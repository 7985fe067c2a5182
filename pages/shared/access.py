"""Who looks at a page, and what they may do there."""

from __future__ import annotations

import functools
import os
from typing import Literal

import streamlit as st

from llmrec_core.access import (
    FILE,
    LOCAL,
    READ_ONLY,
    Access,
    Person,
    Role,
    for_reading,
    read_access,
)
from llmrec_core.errors import AccessError
from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.settings import Settings, load_settings
from pages.shared.navigation import NEEDS
from pages.shared.sessions import ended_logins, login_of

PEOPLE = "build/people.py"


@functools.lru_cache(maxsize=8)
def _read(settings: Settings, stamp: tuple[int, int]) -> Access:
    return read_access(settings)


def rules() -> Access:
    """Return what `access.toml` says now.

    Raises:
        UsageError: when the file is wrong.
    """
    settings = load_settings()
    try:
        status = (settings.home / FILE).stat()
    except OSError:
        return Access()
    return _read(settings, (status.st_mtime_ns, status.st_mode))


def logged_in() -> bool:
    """Whether this browser has logged in and not out again, in whichever tab."""
    if not st.user.is_logged_in:
        return False
    login = login_of(st.context.cookies)
    return login is not None and not ended_logins(load_settings().home).has_ended(login)


def read_only() -> bool:
    """Whether these pages are served to be read only."""
    return os.environ.get(READ_ONLY) == "1"


def person() -> Person:
    """Return who looks at the page, with the role that they have on these pages.

    Raises:
        AccessError: for somebody who has not logged in, or has no role.
    """
    return for_reading(_came_in()) if read_only() else _came_in()


def _came_in() -> Person:
    """Who has logged in, with their role; whoever sits here where nobody logs in."""
    access = rules()
    if access.login is None:
        return LOCAL
    if not logged_in():
        raise AccessError(t("you are not logged in any more; reload the page and log in"))
    claims = st.user.to_dict()
    email = str(claims.get("email") or "")
    if not email or claims.get("email_verified") is False:
        raise AccessError(
            t("the login names no confirmed e-mail address; ask whoever keeps {file}", file=FILE)
        )
    role = access.role_of(email)
    if role is None:
        raise AccessError(
            t("{email} has no role here; ask whoever keeps {file}", email=email, file=FILE)
        )
    return Person(email, role)


def may(role: Role) -> bool:
    """Whether whoever looks has at least this role; to leave out what they may not use."""
    return person().may(role)


def visibility(visitor: Person, file: str) -> Literal["visible", "hidden"]:
    """Return whether the navigation offers a page; opening it by its address is checked besides."""
    if file == PEOPLE and rules().login is None:
        return "hidden"  # there is one person
    return "visible" if visitor.may(NEEDS.get(file, "viewer")) else "hidden"


def gate() -> Person | None:
    """Draw the login when it is needed; returns who has come in, `None` while nobody has."""
    if rules().login is not None and not logged_in():
        st.title("LLMRec Studio")
        st.caption(t("Log in to see studies and to work with your data."))
        if st.button(t("Log in"), type="primary", icon=":material/login:", key="access_log_in"):
            st.login()
        return None
    return person()


def draw() -> None:
    """Draw who has come in, and the way out."""
    if read_only():
        st.caption(t(":material/visibility: Read only: nothing can be changed here."))
    if rules().login is None:
        return
    visitor = person()
    st.caption(
        t(
            ":material/person: {name}, {role}",
            name=number_format.plain(visitor.name),
            role=visitor.role,
        )
    )
    if st.button(t("Log out"), key="access_log_out", icon=":material/logout:", type="tertiary"):
        st.logout()
