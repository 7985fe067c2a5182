"""The recorded validation: what is written is what is read, and the ranks are split-conformal."""

import pytest

from llmrec_core.costmodel import evidence, tables
from llmrec_core.errors import AssetError


def test_a_rank_is_the_share_of_smaller_errors_of_other_groups():
    # regime r: group a has 0.5; b has 0.1, …, 0.9. For a: errors of b below 0.5 are 0.1 … 0.4, so 4 of 9 + 1.
    found = [("r", "a", 0.5), *(("r", "b", one / 10) for one in range(1, 10))]
    assert evidence.ranks(found)[0] == pytest.approx(4 / 10)
    # b's rows have one error of another group in their regime: too few, so all regimes count (here the same one)
    assert evidence.ranks(found)[1] == 0.0


def test_coverage_is_the_share_of_ranks_below_the_level():
    rows = [evidence.Residual("encoder", "g", "m", "f", 1.1, rank, True, "s") for rank in (0.1, 0.5, 0.9)]
    lines = dict(evidence.calibration(rows, (0.2, 0.8, 0.95)))
    assert lines == {0.2: pytest.approx(1 / 3), 0.8: pytest.approx(2 / 3), 0.95: 1.0}
    assert evidence.calibration([]) == []


def test_the_shipped_tables_agree_with_each_other():
    found, errors = evidence.residuals(), evidence.errors()
    assert {one.left_out for one in errors} == set(evidence.KINDS)
    for one in errors:
        if one.left_out == "gpu":
            own = [row for row in found if row.regime == one.regime and row.ok]
            assert len(own) == one.rows
            assert sum(row.rank < 0.8 for row in own) / len(own) == pytest.approx(one.coverage80, abs=0.03)
    assert sum(evidence.sources(found).values()) == len(found)


def test_a_missing_table_says_how_to_write_it(tmp_path, monkeypatch):
    missing = tables.rows.__wrapped__
    monkeypatch.setattr(tables, "rows", lambda name: missing(name, tmp_path))
    with pytest.raises(AssetError, match="REFERENCE_FOLDER"):
        evidence.errors()
