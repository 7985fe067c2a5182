"""Grids of runs: names, shared weights, dials that fit the family."""

import pytest

from llmrec_core.contract.families import family_named
from llmrec_core.contract.spec import RunSpec
from llmrec_core.running import grid
from tests.reading.rows import make


def test_a_grid_names_its_rows_and_shares_trained_weights():
    base = RunSpec(recommender=make("a", "cross-encoder", "minilm-l6").spec.recommender).to_dict()
    runs = grid.grid(base, depths=(2, 4), methods=("full",), precisions=("fp32", "int8"))
    assert [run.name for run in runs][:2] == [
        "Cross-encoder minilm-l6, 2 layers, all weights",
        "Cross-encoder minilm-l6, 2 layers, all weights, int8",
    ]
    assert [run.weights_from for run in runs] == ["", runs[0].name, "", runs[2].name]
    alone = {"recommender": {**base["recommender"], "history_attention": "per_item"}}
    assert (
        grid.grid(alone, depths=(2,))[0].name
        == "Cross-encoder minilm-l6, 2 layers, items read alone, not trained"
    )
    only = grid.grid(base, methods=("lora",), precisions=("int8",))
    assert [run.precision for run in only] == ["fp32", "int8"], (
        "int8 of a trained row needs that row"
    )


@pytest.mark.parametrize("family", ["bm25", "als", "bpr", "fusion"])
def test_every_family_of_a_spec_has_a_name_and_no_dials_of_a_language_model(family):
    members = {"retriever": "item-knn+tf-idf"} if family == "fusion" else {}
    run = grid.grid({"recommender": {"family": family, **members}})[0]
    assert run.name == ("Fusion, Item-kNN + TF-IDF" if family == "fusion" else family.upper())
    assert family_named(family).fits_in_seconds
