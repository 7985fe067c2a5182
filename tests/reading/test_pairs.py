"""Runs of different data or protocols say nothing against each other, and reading refuses them."""

from dataclasses import replace

import pytest

from llmrec_core.errors import UsageError
from llmrec_core.reading import explanations, several_runs
from llmrec_core.reading.comparison import why_not_paired
from tests.reading.rows import PROTOCOL, make, split


def on_data(row, content_hash):
    spec = replace(row.spec, data=replace(row.spec.data, content_hash=content_hash))
    return replace(row, spec=spec)


def under(row, protocol):
    figures = (
        replace(figure, protocol=protocol) if figure.protocol == PROTOCOL else figure
        for figure in row.figures
    )
    return replace(row, figures=tuple(figures))


def asked(row, seed):
    protocol = replace(row.spec.protocol, users=50, seed=seed)
    return replace(row, spec=replace(row.spec, protocol=protocol))


BASE = make("base")
OTHERS = {
    "data": on_data(make("other"), "ffff0000"),
    "protocol": under(make("other"), "time/full"),
    "people": asked(make("other"), 7),
}
PEOPLE = {"ndcg@10": {"base": split(0.4), "other": split(0.5)}}


@pytest.mark.parametrize("which", list(OTHERS))
def test_paired_differences_of_another_exam_are_refused(which):
    with pytest.raises(UsageError, match="Not compared: other was measured"):
        several_runs.gaps(BASE, [OTHERS[which]], PEOPLE)
    assert several_runs.gaps(BASE, [make("other")], PEOPLE)


def test_the_refusal_names_what_differs():
    said = why_not_paired(BASE, OTHERS["data"])
    assert said.startswith("Not compared: base was measured on ")
    assert "ffff0000" in said
    assert why_not_paired(BASE, OTHERS["protocol"]) == (
        f"Not compared: base was measured under {PROTOCOL}, other under time/full."
    )
    assert why_not_paired(BASE, make("twin")) == ""


def test_reasons_are_compared_over_other_samples_but_not_over_other_data():
    rows = [
        {"kind": "item", "user_id": "u", "item_id": "i", "player_id": str(n), "value": float(n)}
        for n in range(4)
    ]
    assert explanations.agreement(BASE, OTHERS["people"], rows, rows)["users"] == 1
    for which in ("data", "protocol"):
        with pytest.raises(UsageError, match="Not compared"):
            explanations.agreement(BASE, OTHERS[which], rows, rows)
