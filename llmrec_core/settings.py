"""Where things live and what the environment says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from llmrec_core.errors import UsageError
from llmrec_core.language import t


@dataclass(frozen=True)
class Settings:
    """Paths, addresses and limits of the environment, read once per call of `load_settings`."""

    home: Path
    """`LLMREC_HOME`: ledger, assets, data sets, runs. Default `.llmrec` in the working folder."""
    ledger_url: str
    """`LLMREC_LEDGER`: a SQLAlchemy URL. Default `sqlite:///HOME/ledger.db`."""
    lease_s: float
    """`LLMREC_LEASE_S`: a worker that is silent for longer has lost its run. Default 30."""
    stall_s: float = 900.0
    """`LLMREC_STALL_S`: a run that computes nothing for longer is ended. Default 900."""
    run_hours: float = 24.0
    """`LLMREC_RUN_HOURS`: an attempt that takes longer is ended. Default 24."""
    memory_gb: float | None = None
    """`LLMREC_MEMORY_GB`: memory that a run may use. `None`: nine tenths of the machine's."""

    @property
    def assets(self) -> Path:
        """Folder of downloads."""
        return self.home / "assets"

    @property
    def datasets(self) -> Path:
        """Folder of imported data sets."""
        return self.home / "datasets"

    @property
    def runs(self) -> Path:
        """Folder that holds one folder a run."""
        return self.home / "runs"


def load_settings() -> Settings:
    """Return the settings of this process.

    Raises:
        UsageError: when a limit is not a positive number.
    """
    home = Path(os.environ.get("LLMREC_HOME") or ".llmrec").expanduser().resolve()
    return Settings(
        home,
        os.environ.get("LLMREC_LEDGER") or f"sqlite:///{home / 'ledger.db'}",
        lease_s=_positive("LLMREC_LEASE_S") or 30.0,
        stall_s=_positive("LLMREC_STALL_S") or 900.0,
        run_hours=_positive("LLMREC_RUN_HOURS") or 24.0,
        memory_gb=_positive("LLMREC_MEMORY_GB"),
    )


def _positive(name: str) -> float | None:
    """The number in an environment variable, `None` where it is not set.

    Raises:
        UsageError: when it is not a positive finite number.
    """
    text = os.environ.get(name)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UsageError(
            t("{name} is {text!r}; expected a number above 0, e.g. {name}=30", name=name, text=text)
        )
    return value
