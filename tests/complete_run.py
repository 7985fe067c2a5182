"""Say at the end of a test run what was skipped and why; with `--complete`, fail when it should not have been.

A complete run may skip only what needs a GPU, or needs that there is none. A missing PostgreSQL,
Chromium or extra is then a failure. Tests on data that is not part of the repository are left out
where that data is not (marker `outside_data`), which pytest reports as deselected.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

HARDWARE = {"gpu", "no_gpu"}
"""Markers of tests that a machine may be unable to run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--complete",
        action="store_true",
        help="fail when a test was skipped for another reason than the machine's GPU",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Skips(config.getoption("--complete")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests on data that is not part of the repository where that data is not."""
    missing = [
        item
        for item in items
        for marker in item.iter_markers("outside_data")
        if not marker.args[0].exists()
    ]
    if missing:
        config.hook.pytest_deselected(items=missing)
        items[:] = [item for item in items if item not in missing]


class Skips:
    """Collects skips; the processes of pytest-xdist report what they skipped while collecting."""

    def __init__(self, complete: bool) -> None:
        self.complete = complete
        self.reasons: Counter[str] = Counter()
        self.refused: list[str] = []

    def _add(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        self.reasons[reason.removeprefix("Skipped: ")] += 1
        if not HARDWARE & set(getattr(report, "keywords", ())):
            self.refused.append(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._add(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._add(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        collected = getattr(node, "workeroutput", {}).get("skips")
        if collected:  # every process collects all files: one of them counts
            self.reasons |= Counter(collected["reasons"])
            self.refused = sorted({*self.refused, *collected["refused"]})

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["skips"] = {
                "reasons": dict(self.reasons),
                "refused": self.refused,
            }
        elif self.complete and self.refused and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for reason, count in self.reasons.most_common():
            terminalreporter.write_line(f"skipped {count}: {reason}")
        if self.complete and self.refused:
            terminalreporter.write_line(
                f"a complete run may not skip: {', '.join(self.refused)}", red=True
            )
