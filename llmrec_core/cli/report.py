"""`report`: a study as one HTML file that opens without a network, or as a PDF."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmrec_core.cli.output import open_ledger, print_line
from llmrec_core.language import t


def register(app: typer.Typer) -> None:
    """Add the verb `report`."""
    app.command()(report)


def report(
    study: Annotated[str, typer.Option(help="The study.")] = "default",
    out: Annotated[
        Path, typer.Option(help="File to write; one that ends in .pdf is printed.")
    ] = Path("report.html"),
    comment: Annotated[str, typer.Option(help="Your own words, shown as plain text.")] = "",
    without_tied: Annotated[
        bool,
        typer.Option("--without-tied", help="Leave out people whose last items share one moment."),
    ] = False,
    requests_per_month: Annotated[
        float | None, typer.Option(help="Requests to choose and to plan for [10 million].")
    ] = None,
    usd_per_month: Annotated[
        float | None, typer.Option(help="Budget of a month [no limit].")
    ] = None,
    p95_ms: Annotated[
        float | None, typer.Option(help="Latency that 95 % of requests meet [no limit].")
    ] = None,
    usd_per_million: Annotated[
        float | None, typer.Option(help="Highest price of a million requests [no limit].")
    ] = None,
    share_of_best: Annotated[
        float | None,
        typer.Option(help="Share of the best quality to reach, 0.01 to 1 [the best]."),
    ] = None,
    hit_worth_usd: Annotated[
        float | None, typer.Option(help="What one hit brings, in dollars [0.001].")
    ] = None,
    usd_per_hour: Annotated[
        float | None, typer.Option(help="Your own price of a machine hour [as recorded].")
    ] = None,
    utilisation: Annotated[
        float | None, typer.Option(help="Share of the hour in use, 0.001 to 1 [as recorded].")
    ] = None,
    watts: Annotated[
        float | None, typer.Option(help="Power under load, where none was measured.")
    ] = None,
    grid_g_per_kwh: Annotated[
        float | None, typer.Option(help="Grams of CO2e of a kWh [as recorded].")
    ] = None,
) -> None:
    """A study as one HTML file that opens without a network, or as a PDF."""
    from llmrec_core.files import write_atomic, write_text
    from llmrec_core.reading import pdf
    from llmrec_core.reading import report as reports
    from llmrec_core.reading.report_command import read_needs

    traffic, pricing = read_needs(
        {
            "requests_per_month": requests_per_month,
            "usd_per_month": usd_per_month,
            "p95_s": p95_ms,
            "usd_per_million": usd_per_million,
            "share_of_best": share_of_best,
            "hit_worth_usd": hit_worth_usd,
            "usd_per_hour": usd_per_hour,
            "utilisation": utilisation,
            "watts": watts,
            "grid_g_per_kwh": grid_g_per_kwh,
        }
    )
    _, ledger = open_ledger()
    content = reports.gather(
        ledger, study, comment=comment, traffic=traffic, pricing=pricing, untied=without_tied
    )
    html = reports.render(content)
    if out.suffix.lower() == ".pdf":
        printed = pdf.printed(html)
        write_atomic(out, lambda stream: stream.write(printed))
    else:
        write_text(out, html)
    print_line(t("wrote {out} ({size:.0f} kB)", out=out, size=out.stat().st_size / 1e3))
