"""The family of the runs that tests of the queue stand in for: its options say what such a run does."""

from llmrec_core.contract.family import Family, Option

NAMES = (
    "steps",
    "step_s",
    "crash",
    "crash_at",
    "hog",
    "full",
    "fill",
    "data",
    "bug",
    "window_s",
    "valid",
)
FAMILY = Family(
    "stand-in",
    "Stand-in",
    "cheap",
    "tests.running.fake_run:execute",
    options={name: Option(name, 0, 1_000_000) for name in NAMES},
    reads_prompt=True,
)
