"""What a reader can afford, and the traffic it is asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a reader can afford; `None` = no limit."""

    p95_s: float | None = None
    usd_per_million: float | None = None
    usd_per_month: float | None = None
    """Of the bill of `requests_per_month`."""
    requests_per_month: float = 1e7
