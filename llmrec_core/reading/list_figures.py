"""What the lists of a run are like beyond being right: how much is shown, how evenly, how new."""

from __future__ import annotations

from collections.abc import Sequence

from llmrec_core.language import marked, t
from llmrec_core.reading import number_format
from llmrec_core.reading.row import Row
from llmrec_core.reading.study_tables import HIGH, LOW, RUN
from llmrec_core.reading.table import Cell, Column, Table, make
from llmrec_core.types import Measurement

FIGURES = (
    Column(marked("Catalogue shown"), "coverage@10", number_format.share),
    Column(marked("Gini of exposure"), "gini@10", number_format.quality),
    Column(marked("Novelty, bits"), "novelty@10", number_format.significant),
    Column(marked("Diversity of genres"), "diversity@10", number_format.quality),
    Column(marked("NDCG@10, items alike"), "snips_ndcg@10", number_format.quality),
    Column(marked("People that this rests on"), "effective_users", number_format.significant),
)
WEIGHTED, EFFECTIVE = FIGURES[-2:]
COLUMNS = (RUN, *FIGURES[:-1], LOW, HIGH, EFFECTIVE)
DEFINITION = marked(
    "Catalogue shown: share of items in at least one list of ten. Gini: 0 = all "
    "items shown alike, 1 = one item. Novelty: mean of -log2 of an item's share of "
    "training interactions. Diversity: mean 1 - cosine of genres over pairs of a "
    "list. Items alike: NDCG@10 with every person weighted by the inverse "
    "propensity of the withheld item (SNIPS), as if all items had been met alike; "
    "it rests on fewer people, so its interval is wide. Candidates drawn by chance "
    "flatter coverage: read it under full."
)


def list_table(rows: Sequence[Row], protocol: str) -> Table:
    """One line a run that has any of these figures.

    Args:
        rows: measured rows.
        protocol: e.g. `loo/100-uniform`.
    """
    lines: list[dict[str, Cell | Measurement]] = []
    ids = []
    for row in rows:
        figures = {column.title: row.figure(column.name, protocol) for column in FIGURES}
        if any(figure.value is not None for figure in figures.values()):
            weighted = figures[WEIGHTED.title]
            lines.append({"Run": row.name, **figures, "Low": weighted.low, "High": weighted.high})
            ids.append(row.run_id)
    return make(COLUMNS, lines, ids)


def missing_figures(rows: Sequence[Row], protocol: str) -> list[str]:
    """Which figures some runs lack and why, a sentence each."""
    sentences = []
    for column in FIGURES:
        by_reason: dict[str, list[str]] = {}
        for row in rows:
            figure = row.figure(column.name, protocol)
            if figure.value is None:
                by_reason.setdefault(figure.reason or "", []).append(row.name)
        sentences += [
            t(
                "{figure} of {names}: not measured, {reason}.",
                figure=t(column.title),
                names=", ".join(names),
                reason=reason,
            )
            for reason, names in by_reason.items()
            if len(names) < len(rows)
        ]
    return sentences
