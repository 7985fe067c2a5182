"""Tables of the documentation, written from the stored records of studies.

A page of `docs/` marks where a table stands and which record it comes from:

    <!-- table: quality-and-cost, record: assets/sample/study.json -->
    …
    <!-- end of table -->

`refreshed` replaces what stands between the two comments. The command `llmrec docs tables` does
that for a whole folder, and a test finds every table current, so a page cannot drift from its
record.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.reading import listing, number_format
from llmrec_core.reading.groups import grouped
from llmrec_core.reading.pricing import usd_per_million
from llmrec_core.reading.row import Row
from llmrec_core.settings import Settings
from llmrec_core.types import Measurement

Lines = list[tuple[str, ...]]
_BLOCK = re.compile(
    r"(<!-- table: (?P<table>[a-z-]+), record: (?P<record>\S+) -->\n)"
    r".*?"
    r"(?P<end><!-- end of table -->)",
    re.DOTALL,
)
_MEANING = re.compile(r"([\\`*_\[\]<>|&$])")
"""Characters that mean something in Markdown: names of runs are a stranger's text."""
UNKNOWN = "–"


def refreshed(page: str, root: Path) -> str:
    """The text of a page with every table written anew from its record.

    Args:
        page: the text of a Markdown page.
        root: the folder from which the paths of records are read.

    Raises:
        UsageError: for a table that is not known or a record that is not there.
    """

    def written(block: re.Match[str]) -> str:
        name, record = block["table"], root / block["record"]
        if name not in TABLES:
            names = ", ".join(TABLES)
            raise UsageError(t("no table {name!r}; there are: {known}", name=name, known=names))
        if not record.is_file():
            raise UsageError(t("the record {record} of a table is not there", record=record))
        lines = TABLES[name](_rows(record, record.stat().st_mtime_ns))
        return f"{block[1]}{_markdown(lines)}\n{block['end']}"

    return _BLOCK.sub(written, page)


@lru_cache(maxsize=4)
def _rows(record: Path, changed_ns: int) -> tuple[Row, ...]:
    """The runs of an exported study; `changed_ns` tells a new version of the file from the old."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        ledger = Ledger.open(Settings(home, f"sqlite:///{home / 'ledger.db'}", 30.0))
        try:
            study = ledger.import_study(json.loads(record.read_text(encoding="utf-8")))
            return tuple(grouped(listing.rows_of(ledger, ledger.runs(study))))
        finally:
            ledger.close()


def _markdown(lines: Lines) -> str:
    head, *body = [[_MEANING.sub(r"\\\1", cell) for cell in line] for line in lines]
    table = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in table)


def _protocol(rows: Sequence[Row]) -> str:
    """The protocol that most rows share."""
    return Counter(name for row in rows for name in row.protocols).most_common(1)[0][0]


def _text(figure: Measurement, interval: bool = False) -> str:
    return UNKNOWN if figure.value is None else number_format.figure(figure, interval)


def _price(row: Row) -> str:
    """Dollars of a million requests, with three digits also far below a cent."""
    price = usd_per_million(row).value
    return UNKNOWN if price is None else number_format.small_dollars(price)


def in_brief(rows: Sequence[Row]) -> Lines:
    """The columns that a choice rests on."""
    protocol = _protocol(rows)
    lines: Lines = [
        (t("Run"), t("NDCG@10 (95 %)"), t("p95 of a request"), t("$ per million"), t("Training"))
    ]
    lines += [
        (
            row.name,
            _text(row.figure("ndcg@10", protocol), interval=True),
            _text(row.request_figure("latency_p95_s")),
            _price(row),
            _text(row.figure("train_s")),
        )
        for row in rows
    ]
    return lines


def quality_and_cost(rows: Sequence[Row]) -> Lines:
    """Quality by slice, then what a request of each run costs."""
    protocol = _protocol(rows)
    lines: Lines = [
        (
            t("Run"),
            t("NDCG@10 (95 %)"),
            t("Rare items"),
            t("Short histories"),
            "Recall@10",
            "AUC",
            t("FLOP per request"),
            "p50",
            "p95",
            t("Requests per s"),
            "MFU",
            t("Weights"),
            t("Peak memory"),
            t("$ per million"),
            t("Training"),
            t("Noisy windows"),
        )
    ]
    for row in rows:
        windows = row.documents.get("windows") or []
        noisy = sum(bool(window.get("noisy")) for window in windows)
        lines.append(
            (
                row.name,
                _text(row.figure("ndcg@10", protocol), interval=True),
                _text(row.figure("ndcg@10", protocol, "rare items")),
                _text(row.figure("ndcg@10", protocol, "short histories")),
                _text(row.figure("recall@10", protocol)),
                _text(row.figure("auc", protocol)),
                _text(row.request_figure("flops_per_request")),
                _text(row.request_figure("latency_p50_s")),
                _text(row.request_figure("latency_p95_s")),
                _text(row.request_figure("throughput_requests_per_s", batch=None)),
                _text(row.request_figure("mfu")),
                _text(row.figure("weight_bytes")),
                _text(row.figure("peak_memory_bytes")),
                _price(row),
                _text(row.figure("train_s")),
                t("{noisy} of {windows}", noisy=noisy, windows=len(windows)),
            )
        )
    return lines


def full_ranking(rows: Sequence[Row]) -> Lines:
    """Quality among all items of the catalogue, for the runs that were measured so."""
    return _quality_under(f"{_protocol(rows).partition('/')[0]}/full", rows)


def over_time(rows: Sequence[Row]) -> Lines:
    """Quality after a cut in time, for the runs that were fitted once more before it."""
    return _quality_under(f"time/{_protocol(rows).partition('/')[2]}", rows)


def _quality_under(protocol: str, rows: Sequence[Row]) -> Lines:
    lines: Lines = [(t("Run"), t("NDCG@10 (95 %)"), "Recall@10", "MRR")]
    for row in rows:
        quality = row.figure("ndcg@10", protocol)
        if quality.value is not None:
            others = (_text(row.figure(name, protocol)) for name in ("recall@10", "mrr"))
            lines.append((row.name, _text(quality, interval=True), *others))
    return lines


def lists(rows: Sequence[Row]) -> Lines:
    """What the lists of each run are like; among all items where that was measured."""
    lines: Lines = [
        (
            t("Run"),
            t("Protocol"),
            t("Catalogue shown"),
            t("Gini of exposure"),
            t("Novelty, bits"),
            t("Diversity"),
            "NDCG@10",
            t("NDCG@10, items alike (95 %)"),
            t("Users it rests on"),
        )
    ]
    for row in rows:
        full = next((name for name in row.protocols if name.endswith("/full")), None)
        protocol = full or _protocol(rows)
        names = ("coverage@10", "gini@10", "novelty@10", "diversity@10", "ndcg@10")
        lines.append(
            (
                row.name,
                protocol,
                *(_text(row.figure(name, protocol)) for name in names),
                _text(row.figure("snips_ndcg@10", protocol), interval=True),
                _text(row.figure("effective_users", protocol)),
            )
        )
    return lines


def gained_by_training(rows: Sequence[Row]) -> Lines:
    """NDCG@10 of the trained weights beside the untrained ones, on the same users."""
    lines: Lines = [
        (t("Run"), t("Users"), t("Untrained"), t("Trained"), t("Difference (95 %)"), t("Steps"))
    ]
    for row in rows:
        training = row.documents.get("training") or {}
        gained = training.get("difference")
        if not gained:
            continue
        low, high = (number_format.quality(gained[end]) for end in ("low", "high"))
        lines.append(
            (
                row.name,
                number_format.count(gained["n"]),
                number_format.quality(training["before"]["ndcg@10"]),
                number_format.quality(training["after"]["ndcg@10"]),
                t(
                    "{value} ({low} to {high})",
                    value=number_format.quality(gained["mean"]),
                    low=low,
                    high=high,
                ),
                number_format.count(training["steps"]),
            )
        )
    return lines


def conditions(rows: Sequence[Row]) -> Lines:
    """Under which conditions the study was recorded: machine, versions, data, protocol, price."""
    first = rows[0]
    spec, versions, price = first.spec, first.documents["versions"], first.conditions
    peaks = [value for row in rows if (value := row.figure("gemm_peak_flops_per_s").value)]
    software = ", ".join(f"{name} {version}" for name, version in versions.items())
    energy = first.request_figure("energy_per_request_j", batch=None)
    return [
        (t("Condition"), t("Value")),
        (t("Finished"), f"{min(row.finished for row in rows)} – {max(r.finished for r in rows)}"),
        (t("Machine"), _machine(first)),
        (
            t("Best fp32 matrix product beside each run"),
            t(
                "{low}/s to {high}/s",
                low=number_format.flops(min(peaks)),
                high=number_format.flops(max(peaks)),
            ),
        ),
        (t("Energy"), number_format.figure(energy)),
        (t("Versions"), software),
        (
            t("Data"),
            t("{name}, content {hash}", name=spec.data.name, hash=spec.data.content_hash),
        ),
        (
            t("Protocol"),
            t(
                "{protocol}, {users} users, seed {seed}",
                protocol=spec.protocol.name,
                users=spec.protocol.users,
                seed=spec.protocol.seed,
            ),
        ),
        (
            t("Price"),
            t(
                "{price} per hour at {share} utilisation; {source}, {date}",
                price=number_format.dollars(price["usd_per_hour"]),
                share=number_format.share(price["utilisation"]),
                source=price["price_source"],
                date=price["price_date"],
            ),
        ),
    ]


def _machine(row: Row) -> str:
    device = row.device
    gpus = ", ".join(gpu["name"] for gpu in device["gpus"]) or t("no GPU")
    return t(
        "{name}, {memory} memory, {gpus}; {system}",
        name=device["name"],
        memory=number_format.size(device["memory_bytes"]),
        gpus=gpus,
        system=device["system"].partition("-")[0],
    )


TABLES: dict[str, Callable[[Sequence[Row]], Lines]] = {
    "in-brief": in_brief,
    "quality-and-cost": quality_and_cost,
    "full-ranking": full_ranking,
    "over-time": over_time,
    "lists": lists,
    "gained-by-training": gained_by_training,
    "conditions": conditions,
}
