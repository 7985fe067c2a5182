r"""Text as a terminal may show it.

Names and messages come from data. An escape code in one could move the cursor and forge a line, and
a right-to-left mark could reverse a name: both are shown as what they are, e.g. `\x1b`.
"""

from __future__ import annotations

import re

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control codes, line breaks among them
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that turn the direction of text
    "\u2028\u2029\ufeff\ud800-\udfff]"  # further line breaks, the byte-order mark, half characters
)


def printable(text: str) -> str:
    r"""Return the text on one line, with control codes and direction marks as escapes.

    >>> print(printable("Tea\x1b[2J\nerror: forged"))
    Tea\x1b[2J\nerror: forged
    """
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
