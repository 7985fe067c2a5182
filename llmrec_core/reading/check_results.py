"""What was measured on finished runs: sanity checks, policies, robustness and label curves.

Each is a document of the ledger that the room `checks` has written; here it becomes a table and a
sentence. Documents come by run id, with the rows that name them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmrec_core.contract.families import families, family_title
from llmrec_core.language import marked, t
from llmrec_core.reading import number_format
from llmrec_core.reading.row import Row
from llmrec_core.reading.study_tables import HIGH, LOW, RUN, USERS
from llmrec_core.reading.table import Cell, Column, Table, make
from llmrec_core.retelling import retold
from llmrec_core.types import Measurement

POLICY_DOCUMENT = "policy"
"""Document of a run that `policy measure` writes."""
Documents = Mapping[str, Mapping[str, Any]]
"""Run id → document."""
Line = dict[str, Cell | Measurement]

RESULTS = {True: marked("passed"), False: marked("FAILED"), None: marked("not made")}
CHECKS = (
    RUN,
    Column(marked("Check"), "check", stored=True),
    Column(marked("Result"), "result"),
    Column(marked("Seen"), "seen", stored=True),
)
DATA_CHECKS = (Column(marked("Subject"), "subject"), *CHECKS[1:])
_QUALITY, _SIGNED = number_format.quality, number_format.signed
SIGNED_LOW = Column(marked("Low"), "low", _SIGNED)
SIGNED_HIGH = Column(marked("High"), "high", _SIGNED)
POLICIES = (
    RUN,
    Column(marked("NDCG@10 before"), "ndcg_before", _QUALITY),
    Column(marked("NDCG@10 after"), "ndcg_after", _QUALITY),
    Column(marked("Difference"), "difference", _SIGNED),
    SIGNED_LOW,
    SIGNED_HIGH,
    USERS,
    Column(marked("Lists changed"), "lists_changed", number_format.count),
    Column(marked("Catalogue shown before"), "coverage_before", number_format.share),
    Column(marked("Catalogue shown after"), "coverage_after", number_format.share),
    Column(marked("Gini before"), "gini_before", _QUALITY),
    Column(marked("Gini after"), "gini_after", _QUALITY),
    Column(marked("Policy, a request"), "policy_s", number_format.duration),
    Column(marked("Scoring, a request"), "scoring_s", number_format.duration),
)
EXPOSURE = (
    RUN,
    Column(marked("Kind"), "kind", stored=True),
    Column(marked("Group"), "group", stored=True),
    Column(marked("Before"), "before", number_format.share),
    Column(marked("After"), "after", number_format.share),
)
ROBUSTNESS = (
    RUN,
    Column(marked("Noise"), "noise", stored=True),
    Column(marked("Strength"), "strength", number_format.significant),
    Column(marked("NDCG@10 clean"), "ndcg_clean", _QUALITY),
    Column("NDCG@10", "ndcg", _QUALITY),
    Column(marked("Kept"), "kept", number_format.share),
    Column(marked("Difference"), "difference", _SIGNED),
    SIGNED_LOW,
    SIGNED_HIGH,
    USERS,
    Column(marked("Note"), "note", stored=True),
)
CURVE = (
    Column(marked("Method"), "method", stored=True),
    Column(marked("Labels"), "labels", number_format.count),
    Column(marked("Value"), "value", _QUALITY),
    LOW,
    HIGH,
    Column(marked("Seeds"), "seeds", number_format.count),
    Column(marked("Spread over seeds"), "spread", number_format.significant),
    Column(marked("Training"), "train_s", number_format.duration),
    Column(marked("Price of a training"), "train_usd", number_format.dollars),
)


def _of_rows(rows: Sequence[Row], documents: Documents) -> list[tuple[Row, Mapping[str, Any]]]:
    return [(row, documents[row.run_id]) for row in rows if documents.get(row.run_id)]


def check_table(rows: Sequence[Row], documents: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    """One line a run and check.

    Args:
        rows: that name the runs.
        documents: run id → `checks` document.
    """
    lines: list[Line] = []
    ids = []
    for row in rows:
        for check in documents.get(row.run_id) or ():
            result = t(RESULTS[check["passed"]])
            lines.append(
                {
                    "Run": row.name,
                    "Check": check["check"],
                    "Result": result,
                    "Seen": check["detail"],
                }
            )
            ids.append(row.run_id)
    return make(CHECKS, lines, ids)


def data_check_table(body: Mapping[str, Any]) -> Table:
    """One line a check of a data set; its subject is the split, or a family that learned from it.

    Args:
        body: the document of the checks.
    """
    families_known = families()
    return make(
        DATA_CHECKS,
        [
            {
                "Subject": family_title(row["subject"])
                if row["subject"] in families_known
                else t("the split"),
                "Check": row["check"],
                "Result": t(RESULTS[row["passed"]]),
                "Seen": row["detail"],
            }
            for row in body["rows"]
        ],
    )


def check_sentence(table: Table, of: str = "Run") -> str:
    """How many checks passed, and which did not.

    Args:
        table: of checks.
        of: title of the column that says what was checked.
    """
    results = table.values("Result")
    failed = [
        t("{run}: {check}", run=run, check=retold(str(check)))
        for run, check, result in zip(table.values(of), table.values("Check"), results, strict=True)
        if result == t(RESULTS[False])
    ]
    if failed:
        return t(
            "{failed} of {all} checks failed, so do not rely on {which}.",
            failed=len(failed),
            all=len(results),
            which="; ".join(failed),
        )
    passed = results.count(t(RESULTS[True]))
    left = len(results) - passed
    if left:
        return t(
            "All {passed} checks passed; {left} were not made, for the reason given.",
            passed=passed,
            left=left,
        )
    return t("All {passed} checks passed.", passed=passed)


def policy_sentence(run: str, body: Mapping[str, Any]) -> str:
    """What a policy does to a run, in one line.

    Args:
        run: its name.
        body: its `policy` document.
    """
    gap, before, after = (body["ndcg"][name] for name in ("difference", "before", "after"))
    sure = t("within chance") if gap["low"] <= 0 <= gap["high"] else t("beyond chance")
    acts = ", ".join(
        t("{count} {rule}", count=count, rule=rule) for rule, count in sorted(body["acts"].items())
    )
    sentence = t(
        "{run}: the policy changes {changed_lists} of {users} lists ({acts}). NDCG@{k} "
        "{before:.3f} to {after:.3f}, difference {mean:+.3f} ({low:+.3f} to {high:+.3f}), {sure}. "
        "It takes {policy} a request beside {scoring} of scoring.",
        run=run,
        changed_lists=body["changed_lists"],
        users=body["users"],
        acts=acts or t("no act"),
        k=body["k"],
        before=before["value"],
        after=after["value"],
        mean=gap["mean"],
        low=gap["low"],
        high=gap["high"],
        sure=sure,
        policy=number_format.duration(body["policy_s"]),
        scoring=number_format.duration(body["scoring_s"]),
    )
    if body["titles_read_s"] is None:
        return sentence
    once = t(
        "All titles are read once, in {time}.", time=number_format.duration(body["titles_read_s"])
    )
    return f"{sentence} {once}"


def policy_table(rows: Sequence[Row], documents: Documents) -> Table:
    """One line a run: what the policy costs in quality and time.

    Args:
        rows: that name the runs.
        documents: run id → `policy` document.
    """
    lines: list[Line] = []
    measured = _of_rows(rows, documents)
    for row, body in measured:
        gap, before, after = (body["ndcg"][name] for name in ("difference", "before", "after"))
        shape = body["lists"]
        lines.append(
            {
                "Run": row.name,
                "NDCG@10 before": before["value"],
                "NDCG@10 after": after["value"],
                "Difference": gap["mean"],
                "Low": gap["low"],
                "High": gap["high"],
                "Users": body["users"],
                "Lists changed": body["changed_lists"],
                "Catalogue shown before": shape["before"]["coverage"],
                "Catalogue shown after": shape["after"]["coverage"],
                "Gini before": shape["before"]["gini"],
                "Gini after": shape["after"]["gini"],
                "Policy, a request": body["policy_s"],
                "Scoring, a request": body["scoring_s"],
            }
        )
    return make(POLICIES, lines, [row.run_id for row, _ in measured])


def exposure_table(rows: Sequence[Row], documents: Documents) -> Table:
    """One line a run and group of items: its share of shown places before and after the policy.

    Args:
        rows: that name the runs.
        documents: run id → `policy` document.
    """
    parts = [(row, part) for row, body in _of_rows(rows, documents) for part in body["exposure"]]
    lines: list[Line] = [
        {
            "Run": row.name,
            "Kind": part["kind"],
            "Group": part["group"],
            "Before": part["before"],
            "After": part["after"],
        }
        for row, part in parts
    ]
    return make(EXPOSURE, lines, [row.run_id for row, _ in parts])


def robustness_table(rows: Sequence[Row], documents: Documents) -> Table:
    """One line a run and noise.

    Args:
        rows: that name the runs.
        documents: run id → `robustness` document.
    """
    lines: list[Line] = []
    ids = []
    for row, body in _of_rows(rows, documents):
        for noise in body["noises"]:
            lines.append(
                {
                    "Run": row.name,
                    "Noise": noise["noise"],
                    "Strength": noise["strength"],
                    "NDCG@10 clean": body["clean"]["value"],
                    "NDCG@10": noise.get("value"),
                    "Kept": noise.get("kept"),
                    "Difference": noise.get("difference"),
                    "Low": noise.get("low"),
                    "High": noise.get("high"),
                    "Users": body["users"],
                    "Note": noise.get("reason") or "",
                }
            )
            ids.append(row.run_id)
    return make(ROBUSTNESS, lines, ids)


def worst_sentence(run: str, body: Mapping[str, Any]) -> str:
    """Score and worst slice of a run in words.

    Args:
        run: its name.
        body: its `robustness` document.
    """
    score, worst = body["score"], body.get("worst_slice")
    sentence = t(
        "{run}: robustness {value:.2f} ({low:.2f} to {high:.2f}).",
        run=run,
        value=score["value"],
        low=score["low"],
        high=score["high"],
    )
    if not worst:
        return sentence
    facet, group = worst["facet"], worst["group"]
    hardest = t(
        "Hit hardest: {noise} for people with {who}, NDCG@10 {clean:.3f} to {noisy:.3f} "
        "({n} people).",
        noise=retold(worst["noise"]),
        who=retold(group)
        if group.startswith(facet)
        else t("{facet} {group}", facet=retold(facet), group=retold(group)),
        clean=worst["clean"],
        noisy=worst["noisy"],
        n=worst["n"],
    )
    return f"{sentence} {hardest}"


def curve_table(body: Mapping[str, Any]) -> Table:
    """One line a method and number of labels: mean over seeds, interval, price of a training."""
    lines: list[Line] = [
        {
            "Method": row["method"],
            "Labels": row["labels"],
            "Value": row["value"],
            "Low": row["low"],
            "High": row["high"],
            "Seeds": len(row["seeds"]),
            "Spread over seeds": row.get("spread"),
            "Training": row.get("train_s"),
            "Price of a training": row.get("train_usd"),
        }
        for row in body["rows"]
    ]
    return make(CURVE, lines)


def grid(
    table: Table, line: str, column: str, value: str
) -> tuple[list[str], list[str], list[list[float | None]]]:
    """A table's values by two of its columns, in its own order; a missing cell is None.

    Args:
        table: with these columns.
        line: title of the column whose cells become lines.
        column: title of the column whose cells become columns.
        value: title of the column with the numbers.
    """
    lines, columns = table.values(line), table.values(column)
    cells: dict[tuple[Cell, Cell], float | None] = {
        (a, b): None if number is None else float(number)
        for a, b, number in zip(lines, columns, table.values(value), strict=True)
    }
    heads, names = list(dict.fromkeys(lines)), list(dict.fromkeys(columns))
    words = {column.title: column.stored for column in table.columns}[column]
    values = [[cells.get((head, name)) for name in names] for head in heads]
    shown = [retold(str(name)) if words else str(name) for name in names]
    return [str(head) for head in heads], shown, values
