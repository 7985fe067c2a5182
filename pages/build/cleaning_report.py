"""The cleaning report on the Data page: rule, count, example, switch; k-cores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from llmrec_core.data.cleaning.report import Finding, Report
from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.reading.table import from_frame
from pages.shared import tables


def show(body: Mapping[str, Any], key: str) -> None:
    """Draw a report.

    Args:
        body: as it stands in a manifest or an outcome.
        key: makes the widgets' keys differ.
    """
    report = Report.from_dict(body)
    for finding in report.suspicions:
        st.warning(
            number_format.plain(
                t(
                    "{count:,} {unit}: {rule}. Somebody may have planted this; look at it before "
                    "you train.",
                    count=finding.count,
                    unit=finding.unit,
                    rule=t(finding.rule),
                )
            )
        )
    rows = pd.DataFrame([_row(finding) for finding in report.findings])
    shows = {t("Found"): number_format.whole, t("Of"): number_format.whole}
    tables.table(from_frame(rows, shows), f"data_report_{key}", "cleaning-report.csv")
    cores = pd.DataFrame(report.cores).rename(
        columns={
            "k": t("k-core"),
            "users": t("Users"),
            "items": t("Items"),
            "interactions": t("Interactions"),
        }
    )
    tables.table(cores, f"data_cores_{key}", "k-cores.csv")


def _row(finding: Finding) -> dict[str, Any]:
    return {
        t("Check"): finding.check,
        t("Found"): finding.count,
        t("Of"): finding.total if finding.count is not None else None,
        t("Unit"): finding.unit,
        t("Rule"): t(finding.rule),
        t("Cleaning would"): t(finding.action) if finding.action else t("only report it"),
        t("On by default"): finding.on,
        t("Example"): (finding.examples or [finding.reason])[0],
    }
