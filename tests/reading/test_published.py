"""Published figures beside ours: each says how near its data are, and a broken line says where."""

from dataclasses import replace

import pytest

from llmrec_core.errors import AssetError
from llmrec_core.reading.published import (
    FOLDER,
    comparable,
    place_sentence,
    published,
    published_table,
)
from tests.reading.rows import make

METRIC, PROTOCOL = "ndcg@10", "loo/100-uniform"
HEAD = "model,size,metric,value,protocol,data_set,people,trained_on,figure_by,source\n"


def figures(folder, *lines):
    (folder / "shop.csv").write_text(HEAD + "\n".join(lines), encoding="utf-8")
    return published("shop", folder)


def test_ours_stand_among_the_published_ones_in_the_order_of_their_values(tmp_path):
    listed = figures(
        tmp_path,
        "A,7 B,ndcg@10,0.31,loo/100-uniform,near twin,200,,authors,paper A",
        "B,small,ndcg@10,0.05,loo/100-uniform,other,,train and validation,authors,paper B",
        "C,small,recall@10,0.90,loo/100-uniform,same,100,,authors,another metric",
        "D,small,ndcg@10,0.90,loo/full,same,100,,authors,another protocol",
    )
    table = published_table([make("ours", ndcg=0.2)], listed, METRIC, PROTOCOL)
    assert table.values("Model") == ["A", "ours", "B"]
    assert table.values("Whose") == ["published", "ours", "published"]
    assert table.values("Value") == [0.31, 0.2, 0.05]
    assert table.values("Low") == [None, pytest.approx(0.18), None]
    assert table.values("Users") == [200, 100, None]
    assert table.values("Data set") == ["near twin", "same", "other"]
    assert table.values("Trained on")[0] == "not said"
    assert table.ids == ("", "ours", "")
    sentence = place_sentence([make("ours", ndcg=0.2)], listed, METRIC, PROTOCOL, "NDCG@10")
    assert sentence == (
        "NDCG@10: our best is 0.2000 (ours), the best published one 0.3100 (A, data set: near "
        "twin)."
    )


def test_a_data_set_without_published_figures_has_none(tmp_path):
    assert published("unheard-of", tmp_path) == []
    assert published("../costmodel/grids") == []


@pytest.mark.parametrize(
    "line",
    [
        "A,7 B,ndcg@10,3.1,loo/full,same,200,,authors,paper",
        "A,7 B,ndcg@10,0.31,loo/full,nearly,200,,authors,paper",
        "A,7 B,ndcg@10,0.31,loo/full,same,200,,authors,",
        "A,7 B,ndcg@10,much,loo/full,same,200,,authors,paper",
    ],
)
def test_a_broken_line_is_named(tmp_path, line):
    with pytest.raises(AssetError, match=r"shop\.csv, line 2"):
        figures(tmp_path, line)


def test_every_shipped_file_reads_and_each_figure_stands_once():
    names = [path.stem for path in FOLDER.glob("*.csv")]
    assert {"amazon-beauty", "ml-latest-small", "llmrank-games"} <= set(names)
    for name in names:
        listed = published(name)
        assert listed
        assert len({replace(one, value=0.0) for one in listed}) == len(listed)
    beauty = comparable(published("amazon-beauty"), "ndcg@10", "loo/full")
    assert max(one.value for one in beauty) == 0.0588
