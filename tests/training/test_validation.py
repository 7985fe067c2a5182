"""What is chosen by validation needs somebody to validate on."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.errors import DataError
from llmrec_core.recommenders.registry import build

TINY = {"width": 8, "layers": 1, "heads": 1}
FAMILIES = {
    "sasrec": {"family": "sasrec", "adaptation": "full", "options": TINY},
    "fusion": {"family": "fusion", "retriever": "popularity+item-knn"},
}


@pytest.mark.parametrize("name", list(FAMILIES))
def test_nobody_to_validate_on_is_a_sentence(name, settings, tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", float(place))
        for user in range(6)
        for place, item in enumerate(rng.choice(9, 5, replace=False))
    ]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    parts = dataclasses.replace(split(build_dataset("few", table), "loo"), valid=[])
    training = {"steps": 1, "warmup_steps": 0}
    spec = run_from_dict({"recommender": FAMILIES[name], "training": training})
    recommender = build(spec, parts.dataset, settings)
    with pytest.raises(DataError, match="leaves nobody to validate on"):
        recommender.fit(parts, RunContext(tmp_path))
