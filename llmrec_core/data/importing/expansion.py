"""How much a packed file may unpack to: a ratio beyond a free allowance, and a total."""

from __future__ import annotations

from llmrec_core.errors import DataError
from llmrec_core.language import t

MAX_EXPANDED_BYTES = 20 << 30
FREE_BYTES = 100 << 20
"""Below this no ratio is suspicious."""
MAX_RATIO = 100
"""Text of interactions compresses 3 to 20 times."""


def check_expansion(label: str, expanded: int, packed: int) -> None:
    """Refuse content that is much larger than what it is packed in.

    Args:
        label: the file's name for people.
        expanded: bytes of content, known or read so far.
        packed: bytes that the file takes.

    Raises:
        DataError: above the ratio or the total.
    """
    if expanded > MAX_EXPANDED_BYTES or (expanded > FREE_BYTES and expanded / packed > MAX_RATIO):
        raise DataError(
            t(
                "{label} expands {packed:,} bytes to {expanded:,} or more ({ratio:,.0f} ×); more "
                "than {MAX_RATIO} × beyond {free} MiB, or {total} GiB in all, is refused. Unpack "
                "it yourself if you trust it",
                label=label,
                packed=packed,
                expanded=expanded,
                ratio=expanded / packed,
                MAX_RATIO=MAX_RATIO,
                free=FREE_BYTES >> 20,
                total=MAX_EXPANDED_BYTES >> 30,
            )
        )
