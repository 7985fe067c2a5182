"""Where things live and what the environment says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from llmrec_core.errors import UsageError


@dataclass(frozen=True)
class Settings:
    """Paths and addresses taken from the environment, read once per call of `load_settings`."""

    home: Path
    """`LLMREC_HOME`: ledger, assets, data sets, runs. Default `.llmrec` in the working folder."""
    ledger_url: str
    """`LLMREC_LEDGER`: a SQLAlchemy URL. Default `sqlite:///HOME/ledger.db`."""
    lease_s: float
    """`LLMREC_LEASE_S`: a worker that is silent for longer has lost its run. Default 30."""

    @property
    def assets(self) -> Path:
        return self.home / "assets"

    @property
    def datasets(self) -> Path:
        return self.home / "datasets"

    @property
    def runs(self) -> Path:
        return self.home / "runs"


def load_settings() -> Settings:
    """Settings of this process.

    Raises:
        UsageError: when `LLMREC_LEASE_S` is not a positive number.
    """
    home = Path(os.environ.get("LLMREC_HOME") or ".llmrec").expanduser().resolve()
    lease = os.environ.get("LLMREC_LEASE_S", "30")
    try:
        lease_s = float(lease)
    except ValueError:
        lease_s = 0.0
    if not lease_s > 0:
        raise UsageError(f"LLMREC_LEASE_S is {lease!r}; expected seconds above 0, e.g. LLMREC_LEASE_S=30")
    return Settings(home, os.environ.get("LLMREC_LEDGER") or f"sqlite:///{home / 'ledger.db'}", lease_s)
