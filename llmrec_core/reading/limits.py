"""What a reader can afford and asks for, and the traffic it is asked of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a reader can afford and asks for; `None` = no limit."""

    p95_s: float | None = None
    usd_per_million: float | None = None
    usd_per_month: float | None = None
    """Of the bill of `requests_per_month`."""
    requests_per_month: float = 1e7
    share_of_best: float | None = None
    """Of the quality of the best row compared, whatever that row costs; 0 to 1."""
