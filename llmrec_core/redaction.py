"""Secrets taken out of what is kept or shown: logs, sentences, the ledger.

Two rules: whatever looks like a credential, and every value of an environment variable whose name
says that it is one.
"""

from __future__ import annotations

import os
import re

HIDDEN = "***"
SHORTEST = 8
"""Characters below which the value of a variable is too common to be searched for."""

_NAMES = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|PRIVATE_KEY|CREDENTIAL", re.I
)
_SHAPES = re.compile(
    r"(?P<before>[a-z][a-z0-9+.-]*://[^\s:/@]*:)(?P<password>[^\s@/]+)(?=@)"  # in an address
    r"|(?P<field>\b(?:token|secret|password|passwd|api[_-]?key|authorization)\b"
    r"[\"']?\s*[=:]\s*[\"']?(?:bearer\s+)?)(?P<value>[^\s\"',;&]+)"
    r"|\b(?:hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}"
    r"|AKIA[0-9A-Z]{16}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+)",
    re.I,
)


def redacted(text: str) -> str:
    """Return the text with credentials hidden.

    >>> redacted("postgresql://anna:s3cret@db/x refused, token=abcdef")
    'postgresql://anna:***@db/x refused, token=***'
    """
    for value in _secret_values():
        text = text.replace(value, HIDDEN)
    return _SHAPES.sub(lambda match: (match["before"] or match["field"] or "") + HIDDEN, text)


def _secret_values() -> list[str]:
    values = {
        value
        for name, value in os.environ.items()
        if len(value) >= SHORTEST and _NAMES.search(name)
    }
    return sorted(values, key=len, reverse=True)
