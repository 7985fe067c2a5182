"""The recorded validation: what is written is what is read, and the ranks are split-conformal."""

import numpy as np
import pytest

from llmrec_core.costmodel.calibrate import evidence, validate, write_evidence
from llmrec_core.costmodel.facts import csv_facts
from llmrec_core.errors import AssetError


def test_a_rank_is_the_share_of_smaller_errors_of_other_groups():
    # Group a has 0.5; b has 0.1, …, 0.9. One other group widens 80 % by t(1) / z = 3.078 / 1.282 = 2.40,
    # so a's 0.5 counts as 0.208: errors of b below it are 0.1 and 0.2, so 2 of 9 + 1.
    errors = [("r", "a", 0.5), *(("r", "b", tenths / 10) for tenths in range(1, 10))]
    ranks = write_evidence.ranks(errors)
    assert ranks[0] == pytest.approx(2 / 10)
    # b's 0.1 and 0.9 count as 0.04 and 0.37, both below a's 0.5: 0 of 1 + 1
    assert ranks[1] == ranks[9] == 0.0


def test_few_groups_widen_an_interval_as_student_says():
    # Equal groups: (4·√9)² / (4·9) = 4 degrees of freedom, t at 90 % = 1.5332, z = 1.2816.
    assert validate.few_groups([9, 9, 9, 9]) == pytest.approx(1.5332 / 1.2816, abs=1e-4)
    # 100 rows and 4: (10 + 2)² / 104 = 1.385, so hardly more than one group, t(1) = 3.0777.
    assert 1.8 < validate.few_groups([100, 4]) < validate.few_groups([104]) < 2.41
    assert validate.few_groups([5] * 500) == pytest.approx(1.0, abs=0.002)


def test_an_interval_for_an_unseen_group_holds_where_few_groups_were_seen():
    """Normal errors of groups, alike inside each: coverage over many worlds, against the quantile alone."""
    rng = np.random.default_rng(0)
    for groups, rows in ((3, 20), (4, 10), (10, 5)):
        held, plain = [], []
        for _ in range(400):
            shifts = rng.normal(0, 1, groups + 1)
            errors = [list(shift + rng.normal(0, 0.3, rows)) for shift in shifts]
            pooled = [error for group in errors[:-1] for error in group]
            width = validate.half_width(errors[:-1])
            held.append(np.mean(np.abs(errors[-1]) <= width))
            plain.append(np.mean(np.abs(errors[-1]) <= validate.quantile(pooled)))
        assert 0.75 < np.mean(held) < 0.88
        assert np.mean(held) > np.mean(plain)


def test_coverage_is_the_share_of_ranks_below_the_level():
    rows = [
        evidence.Residual("encoder", "g", "m", "f", 1.1, rank, True, "s")
        for rank in (0.1, 0.5, 0.9)
    ]
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
            assert sum(row.rank < 0.8 for row in own) / len(own) == pytest.approx(
                one.coverage80, abs=0.03
            )
    assert sum(evidence.sources(found).values()) == len(found)


def test_a_missing_table_says_how_to_write_it(tmp_path, monkeypatch):
    missing = csv_facts.rows.__wrapped__
    monkeypatch.setattr(csv_facts, "rows", lambda name: missing(name, tmp_path))
    with pytest.raises(AssetError, match="REFERENCE_FOLDER"):
        evidence.errors()
