"""The data sets that a name can mean: ml-100k, which is downloaded, and imported ones."""

from __future__ import annotations

from llmrec_core.assets import ASSETS
from llmrec_core.data import store
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.movielens import load_ml_100k
from llmrec_core.settings import Settings


def load_dataset(name: str, settings: Settings, content_hash: str = "") -> Dataset:
    """The data set that a name means: ml-100k, or one that was imported.

    Args:
        name: as on the command line; `shop@2` is the second version of `shop`.
        settings: where the home is.
        content_hash: of an imported set under a bare name, the version that a run was queued for;
            empty for the newest.

    Raises:
        UsageError: for a name, version or content that is not there.
        DataError: for a stored data set that is damaged.
    """
    if name in store.BUILT_IN:
        return load_ml_100k(settings)
    return store.load(name, settings, content_hash)


def content_key(name: str, settings: Settings) -> str:
    """What changes whenever `load_dataset(name, settings)` would answer something else.

    It costs one small file, so caches of data sets use it as their key.

    Raises:
        UsageError: for a name or version that is not there.
        DataError: for a manifest that is damaged.
    """
    if name in store.BUILT_IN:
        return ASSETS[name].requirement
    return store.version_of(name, settings)[1].content_hash
