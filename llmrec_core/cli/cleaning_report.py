"""The cleaning report on the terminal."""

from __future__ import annotations

import typer

from llmrec_core.data.cleaning.report import Finding, Report
from llmrec_core.language import t

EXAMPLES = 2


def print_report(report: Report, *, acted: bool = False) -> None:
    """Print findings, k-cores and steps.

    Args:
        report: of an inspection or of a cleaning.
        acted: whether the steps were taken; otherwise they are said as what cleaning would leave.
    """
    for finding in report.findings:
        _print_finding(finding)
    for finding in report.suspicions:
        typer.echo(
            t(
                "look at {check} before you train: somebody may have planted this",
                check=finding.check,
            )
        )
    for core in report.cores:
        typer.echo(
            t(
                "a {k}-core would leave {users:,} users, {items:,} items, {rows:,} interactions",
                k=core["k"],
                users=core["users"],
                items=core["items"],
                rows=core["interactions"],
            )
        )
    for step in report.steps[0 if acted else 1 :]:
        counts = {"users": step.users, "items": step.items, "rows": step.interactions}
        typer.echo(
            t(
                "after {step}: {users:,} users, {items:,} items, {rows:,} interactions",
                step=step.step,
                **counts,
            )
            if acted
            else t(
                "cleaning by {step} would leave {users:,} users, {items:,} items, {rows:,} "
                "interactions",
                step=step.step,
                **counts,
            )
        )


def _print_finding(finding: Finding) -> None:
    if finding.count is None:
        typer.echo(
            t("{check} not checked: {reason}", check=f"{finding.check:17}", reason=finding.reason)
        )
        return
    switch = t("report only")
    if finding.action:
        switch = f"{t('on') if finding.on else t('off')}: {t(finding.action)}"
    typer.echo(
        f"{finding.check:17} {finding.count:8,} "
        + t("of {total:,} {unit}", total=finding.total, unit=finding.unit)
        + f"  {t(finding.rule)}  [{switch}]"
    )
    for example in finding.examples[:EXAMPLES]:
        typer.echo(" " * 27 + t("e.g. {example}", example=example))
