"""The exception tree. Every message says what came in, what was expected and what to do next.

::

    LlmrecError
    ├── UsageError (ValueError)        a wrong argument, unknown id, contradictory spec     exit 2
    ├── DataError (ValueError)         unreadable or unusable data, with file, line, column  exit 1
    ├── AssetError (OSError)           a download or a damaged asset                         exit 1
    ├── LedgerError (RuntimeError)     a ledger that cannot be read or is newer              exit 1
    ├── CheckpointError (RuntimeError) a damaged checkpoint or model folder                  exit 1
    ├── AccessError (PermissionError)  an action or page that this person may not have       exit 1
    ├── UnsupportedError (ValueError)  what this device or architecture cannot do            exit 1
    └── RunError (RuntimeError)        a run that ended badly, with its kind                 exit 1
        └── NotFiniteError             losses, weights or scores that are no finite numbers  exit 1
"""


class LlmrecError(Exception):
    """Base of all errors meant for a person to read; `exit_code` is the command line's."""

    exit_code = 1


class UsageError(LlmrecError, ValueError):
    """A wrong argument, an unknown id or a contradictory spec."""

    exit_code = 2


class DataError(LlmrecError, ValueError):
    """Data that cannot be read or used."""


class AssetError(LlmrecError, OSError):
    """An asset that cannot be fetched, verified or stored."""


class LedgerError(LlmrecError, RuntimeError):
    """A ledger that cannot be opened, is newer than this code, or is held by somebody else."""


class CheckpointError(LlmrecError, RuntimeError):
    """A model or checkpoint folder whose content is not what its manifest says."""


class AccessError(LlmrecError, PermissionError):
    """An action, a page or a record that this person may not have."""


class UnsupportedError(LlmrecError, ValueError):
    """Something this device, architecture or data set cannot do, with the reason."""


class RunError(LlmrecError, RuntimeError):
    """A run that ended badly: `kind` is one of out_of_memory, data, disk, bug, lost, cancelled."""

    def __init__(self, message: str, kind: str = "bug") -> None:
        super().__init__(message)
        self.kind = kind


class NotFiniteError(RunError):
    """A loss, a weight or a score that is no finite number: training diverged, or weights broke."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "data")
