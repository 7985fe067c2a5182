"""Logins that have ended, so that a tab left open elsewhere ends with them.

A browser's login is a signed cookie; logging out removes it from the browser, but a tab that was
open before still talks over its old connection. The cookie's digest is remembered here, by the
process that serves all tabs, and in a file for its next start.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from llmrec_core.files import write_json

COOKIE = "_streamlit_user"
"""Name of Streamlit's login cookie; a long one continues in `_streamlit_user_1` and so on."""
KEPT_S = 31 * 86400.0
"""A cookie is valid for 30 days."""
FILE = "logged_out.json"


def login_of(cookies: Mapping[str, str]) -> str | None:
    """Return the digest of the login in a browser's cookies, `None` without one."""
    parts = [
        f"{name}={value}"
        for name, value in sorted(cookies.items())
        if name == COOKIE or name.removeprefix(f"{COOKIE}_").isdecimal()
    ]
    if not parts:
        return None
    return hashlib.sha256(";".join(parts).encode()).hexdigest()


class EndedLogins:
    """The logins that have ended."""

    def __init__(self, home: Path) -> None:
        """Read those of the last month.

        Args:
            home: where the file is.
        """
        self._path = home / FILE
        self._lock = threading.Lock()
        try:
            ended = json.loads(self._path.read_text(encoding="utf-8"))
            self._ended = {str(login): float(when) for login, when in ended.items()}
        except (OSError, ValueError, AttributeError):
            self._ended = {}

    def end(self, login: str) -> None:
        """Remember that a login has ended."""
        with self._lock:
            clock = time.time()
            self._ended = {
                name: when for name, when in self._ended.items() if clock - when < KEPT_S
            } | {login: clock}
            write_json(self._path, self._ended)

    def has_ended(self, login: str) -> bool:
        """Whether a login has ended."""
        return login in self._ended


_of_home: dict[Path, EndedLogins] = {}


def ended_logins(home: Path) -> EndedLogins:
    """Return the ended logins of a home, the same object in the whole process."""
    if home not in _of_home:
        _of_home[home] = EndedLogins(home)
    return _of_home[home]
