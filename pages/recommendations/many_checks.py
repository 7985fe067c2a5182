"""What "What drives the model" says of its checks, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmrec_core.explain.many_rows import UNRELATED, run_warnings, too_alike
from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.retelling import retold


def between(part: Mapping[str, float]) -> str:
    """`0.42 (0.31 to 0.52)`."""
    return t(
        "{mean:.2f} ({low:.2f} to {high:.2f})",
        mean=part["mean"],
        low=part["low"],
        high=part["high"],
    )


def agreement_sentence(same: Mapping[str, Any], first: str, second: str) -> str:
    """Whether two runs give the same reasons.

    Args:
        same: as `many_rows.agreement`.
        first: name of a run.
        second: name of the other.
    """
    if not same["users"]:
        return retold(str(same["reason"]))
    return t(
        "{first} and {second}: rank correlation of the values {spearman}, the same strongest "
        "reason for {top} of {users} users, the same recommended item for {item}.",
        first=first,
        second=second,
        spearman=between(same["spearman"]),
        top=number_format.share(same["same_top"]["mean"]),
        users=same["users"],
        item=number_format.share(same["same_item"]["mean"]),
    )


def lines(body: Mapping[str, Any]) -> list[str]:
    """The check against random layers, with its warning, and the bias probe."""
    sentences = []
    alike = too_alike(body.get("randomisation"))
    if alike is not None:
        sentences.append(
            t(
                "Against random layers: mean |rank correlation| {correlation}. Two unrelated "
                "orders of ten reasons have {unrelated:.2f}, so this is {verdict}.",
                correlation=between(body["randomisation"]["mean_abs_spearman"]),
                unrelated=UNRELATED,
                verdict=t("too much alike") if alike else t("as it must be"),
            )
        )
    sentences += [f"⚠ {warning}" for warning in run_warnings(body)]
    sentences += [
        t(
            "Bias probe: {attribute} carries {mean} ({low} to {high}) of all reasons of {users} "
            "users when it is put into the prompt.",
            attribute=row["attribute"],
            mean=number_format.share(row["mean"]),
            low=number_format.share(row["low"]),
            high=number_format.share(row["high"]),
            users=row["users"],
        )
        for row in body.get("bias") or []
    ]
    return sentences
