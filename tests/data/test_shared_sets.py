"""The real sets of the project import with no flag, and a dozen ways to break them give a sentence each.

They are not part of this repository: LLMREC_SHARED_DATA, or ../shared/data beside it.
"""

import gzip
import os
import shutil
from pathlib import Path

import pytest

from llmrec_core.data.catalogue import load_dataset
from llmrec_core.data.importing.described_table import Options
from llmrec_core.data.importing.plan import plan_import
from llmrec_core.data.importing.reading import import_path
from llmrec_core.errors import LlmrecError
from llmrec_core.settings import Settings

SHARED = Path(os.environ.get("LLMREC_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data")
pytestmark = pytest.mark.outside_data(SHARED)
COUNTS = {  # users, items, interactions, order, other tables
    "amazon-beauty": (22_332, 12_086, 198_215, "time", {}),
    "lastfm-2k": (1_892, 17_632, 92_834, "none", {"edges": 25_434, "tags": 186_479}),
    "llmrank-games": (50_546, 16_859, 440_264, "file", {"lists": 1_600}),
    "ml-latest-small": (671, 9_125, 100_004, "time", {"tags": 1_296}),
    "tallrec-movie": (108, 1_250, 10_000, "time", {"pairs": 10_000}),
}
MAIN = {
    "amazon-beauty": "interactions.csv.gz",
    "lastfm-2k": "user_artists.dat",
    "llmrank-games": "Games-6k.test.inter.gz",
    "ml-latest-small": "ratings.csv",
    "tallrec-movie": "baseline_test.csv",
}


@pytest.fixture
def home(tmp_path):
    return Settings(tmp_path / "home", "sqlite://", 30.0)


@pytest.mark.parametrize("name", COUNTS)
def test_every_set_imports_with_no_flag(name, home):
    data = import_path(SHARED / name, name, home)
    users, items, interactions, order, extras = COUNTS[name]
    assert (data.n_users, data.n_items, len(data.interactions), data.order) == (
        users,
        items,
        interactions,
        order,
    )
    assert {key: len(table) for key, table in data.extras.items()} == extras
    assert load_dataset(name, home).content_hash == data.content_hash
    assert (data.items.title != "").mean() > 0.95


BREAKS = {
    "cut in a row": lambda b: b[: len(b) // 2].rstrip(b"0123456789"),
    "NUL": lambda b: b[:2000] + b"\0" + b[2000:],
    "empty": lambda b: b"",
    "header alone": lambda b: b.split(b"\n")[0] + b"\n",
    "no separators": lambda b: b.replace(b",", b"").replace(b"\t", b"").replace(b" ", b""),
    "a longer row": lambda b: b + b"1,2,3,4,5,6,7,8,9\n" + b"1\t2\t3\t4\t5\t6\t7\t8\t9\n",
    "mixed encodings": lambda b: b + "é,é,é\n".encode() + "é,é,é\n".encode("latin-1"),
    "names twice": lambda b: b.replace(
        b.split(b"\n")[0], b"a,a,a,a,a,a" if b"," in b.split(b"\n")[0] else b"a\ta\ta", 1
    ),
    "unknown names": lambda b: b.replace(
        b.split(b"\n")[0], b"p,q,r,s,t,w" if b"," in b.split(b"\n")[0] else b"p\tq\tr", 1
    ),
    "pickle": lambda b: b"\x80\x04" + b,
    "HTML page": lambda b: b"<html><body>404 not found</body></html>",
    "noise": lambda b: bytes(i * 7 % 251 + 1 for i in range(5000)),
    "an open quotation mark": lambda b: b + b'"1,2,3',
    "words for numbers": lambda b: b.replace(
        b"\n", b"\nx,y,z,v,w,q\n" if b"," in b.split(b"\n")[0] else b"\nx\ty\tz\n"
    ),
}
HARMLESS = {  # variants that are still readable data in that form
    "cut in a row": set(MAIN),
    "an open quotation mark": {"lastfm-2k", "llmrank-games"},
    "words for numbers": {"llmrank-games"},
    "unknown names": {
        "amazon-beauty",
        "llmrank-games",
        "ml-latest-small",
        "lastfm-2k",
        "tallrec-movie",
    },
}


@pytest.mark.parametrize("name", MAIN)
@pytest.mark.parametrize("how", BREAKS)
def test_broken_variants_give_a_sentence(name, how, tmp_path):
    raw = (SHARED / name / MAIN[name]).read_bytes()
    content = gzip.decompress(raw) if MAIN[name].endswith(".gz") else raw
    content = b"\n".join(content.split(b"\n")[:3000]) + b"\n"
    broken = BREAKS[how](content)
    path = tmp_path / MAIN[name]
    path.write_bytes(gzip.compress(broken) if path.suffix == ".gz" and broken else broken)
    home = Settings(tmp_path / "home", "sqlite://", 30.0)
    try:
        import_path(path, "toy", home)
    except LlmrecError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 600
        assert not home.datasets.exists() or not list(home.datasets.iterdir())
    else:
        assert name in HARMLESS.get(how, ()), f"{how} was imported without a word"


def test_a_damaged_gzip_in_a_folder_stops_the_import(tmp_path):
    shutil.copytree(SHARED / "amazon-beauty", tmp_path / "beauty")
    target = tmp_path / "beauty" / "interactions.csv.gz"
    target.chmod(0o644)
    target.write_bytes(target.read_bytes()[:-1000])
    with pytest.raises(LlmrecError, match="damaged"):
        plan_import(tmp_path / "beauty", Options()).raise_problems()
