"""Small copies of the forms of well-known files; each imports without a flag."""

import gzip
import json

import numpy as np
import pytest

from llmrec_core.data.importing.described_table import Options
from llmrec_core.data.importing.plan import plan_import
from llmrec_core.data.importing.reading import read_plan

USERS, ITEMS = range(8), range(6)
PAIRS = [(u, i) for u in USERS for i in ITEMS if (u + i) % 3]
T = 1_400_000_000


def imported(path):
    plan = plan_import(path, Options())
    return read_plan(plan, "toy", Options()), {t.source.label: t for t in plan.tables}


def lines(pattern, header="", **more):
    rows = [
        pattern.format(u=u, i=i, r=1 + (u * i) % 5, t=T + 86_400 * i + u, n=n, **more)
        for n, (u, i) in enumerate(PAIRS)
    ]
    return "\n".join(filter(None, [header, *rows])) + "\n"


FORMS = {
    "MovieLens 20M": ("ratings.csv", lines("{u},{i},{r}.0,{t}", "userId,movieId,rating,timestamp")),
    "Amazon 2014, ratings only": (
        "ratings_Beauty.csv",
        lines("A2SUAM1J3GNN3{u},B00{i}QXXX12,{r}.0,{t}"),
    ),
    "Amazon 2018, ratings only, item first": (
        "Beauty.csv",
        lines("B00{i}QXXX12,A2SUAM1J3GNN3{u},{r}.0,{t}"),
    ),
    "Amazon 2023, 5-core": (
        "All_Beauty.csv",
        lines("AE{u}XYZ,B0{i},{r}.0,{t}000", "user_id,parent_asin,rating,timestamp"),
    ),
    "Book-Crossing": (
        "BX-Book-Ratings.csv",
        lines('"27672{u}";"034545104{i}";"{r}"', '"User-ID";"ISBN";"Book-Rating"'),
    ),
    "Retailrocket": (
        "events.csv",
        lines("{t}000,{u},view,35556{i},", "timestamp,visitorid,event,itemid,transactionid"),
    ),
    "Diginetica": (
        "train-item-views.csv",
        lines("{u};NA;8176{i};526309;2016-05-0{r}", "sessionId;userId;itemId;timeframe;eventdate"),
    ),
    "Food.com": (
        "RAW_interactions.csv",
        lines(
            '3869{u},4038{i},2003-02-1{r},{r},"Great, really"',
            "user_id,recipe_id,date,rating,review",
        ),
    ),
    "MyAnimeList": ("rating.csv", lines("{u},2{i},{r}", "user_id,anime_id,rating")),
    "UCI online retail": (
        "retail.csv",
        lines(
            "53636{n},8512{i},WHITE HOLDER {i},6,{r}/13/2010 8:26,2.55,1785{u},United Kingdom",
            "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
        ),
    ),
    "REES46": (
        "2019-Oct.csv",
        lines(
            "2019-10-0{r} 00:00:0{i} UTC,view,4410{i},21{i},appliances,sh{i},35.79,5413{u},s{u}",
            "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session",
        ),
    ),
    "Goodreads": (
        "interactions.csv",
        lines("{u},94{i},1,{r},0", "user_id,book_id,is_read,rating,is_reviewed"),
    ),
    "RecBole": (
        "toy.inter",
        lines(
            "{u}\t{i}\t{r}\t{t}",
            "user_id:token\titem_id:token\trating:float\ttimestamp:float",
        ),
    ),
    "Yelp": (
        "review.json",
        lines(
            '{{"review_id":"r{n}","user_id":"u{u}","business_id":"b{i}","stars":{r}.0,"useful":1,'
            '"text":"Good","date":"2018-07-0{r} 22:09:1{i}"}}'
        ),
    ),
    "Steam, Australian users": (
        "steam.json",
        lines(
            "{{'username': 'u{u}', 'hours': {r}.5, 'product_id': '7{i}', 'date': '2018-02-0{r}'}}"
        ),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_interactions_of_a_well_known_file(form, tmp_path):
    name, content = FORMS[form]
    (tmp_path / name).write_text(content, encoding="utf-8")
    data, tables = imported(tmp_path / name)
    assert (len(data.interactions), data.n_users, data.n_items) == (len(PAIRS), 8, 6)
    timed = "time" in tables[name].roles
    assert data.order == ("time" if timed else "none")
    assert timed == (form not in ("Book-Crossing", "MyAnimeList", "Goodreads"))
    rated = form not in ("Retailrocket", "Diginetica", "UCI online retail", "REES46")
    assert data.implicit != rated


def test_the_description_of_a_shop_is_its_title(tmp_path):
    name, content = FORMS["UCI online retail"]
    (tmp_path / name).write_text(content)
    data, _ = imported(tmp_path / name)
    assert set(data.items.title) == {f"WHITE HOLDER {i}" for i in ITEMS}


def test_steam_log_without_a_header(tmp_path):
    """user, game, "purchase" or "play", hours, 0: the game is the item and its own title."""
    rng = np.random.default_rng(0)
    games = [f"The Game, Part {n}" if n % 2 else f"Fallout {n}" for n in range(40)]
    rows = []
    for user in range(300):
        for game in rng.choice(40, 5, replace=False):
            rows.append(f'{151_603_000 + user},"{games[game]}",purchase,1.0,0\n')
            if rng.random() < 0.5:
                rows.append(
                    f'{151_603_000 + user},"{games[game]}",play,{rng.exponential(30):.1f},0\n'
                )
    path = tmp_path / "steam-200k.csv"
    path.write_text("".join(rows))
    data, tables = imported(path)
    table = tables["steam-200k.csv"]
    assert (len(data.interactions), data.n_users, data.n_items) == (len(rows), 300, 40)
    assert set(data.items.title) == set(games)
    assert table.roles["rating"] == "column 4"
    assert any("kinds of events (purchase, play)" in line for line in table.evidence)
    assert data.order == "none"


def sparse(rng, n):
    return rng.integers(0, 40, n), rng.integers(0, 60, n)


HEADERLESS = {
    "YooChoose clicks": lambda u, i, n, rng: (
        f"{u},2014-04-0{1 + n % 7}T10:5{n % 9}:09.277Z,2145{i},{i % 5}"
    ),
    "Taobao behaviour": lambda u, i, n, rng: (
        f"{u},2268{i},25{i % 5},{('pv', 'buy', 'cart')[n % 3]},{1_511_544_070 + n}"
    ),
    "Gowalla": lambda u, i, n, rng: f"{u}\t2010-10-1{n % 9}T23:55:27Z\t30.2{i}\t-97.7{i}\t22847{i}",
    "Foursquare": lambda u, i, n, rng: (
        f"{u}\t4bf{i:05x}aa\t4bf{i % 4:05x}bb\tKind of place {i % 4}\t35.{i}\t139.{i}\t540"
        f"\tTue Apr 0{1 + n % 9} 18:17:{n % 60:02} +0000 2012"
    ),
    "Million Song": lambda u, i, n, rng: f"{u:040x}\tSO{i:06X}A\t{1 + n % 9}",
    "Last.fm 360K": lambda u, i, n, rng: (
        f"{u:040x}\t{i:08x}-b665-4788\tArtist of {i}\t{int(rng.exponential(400)) + 1}"
    ),
}


@pytest.mark.parametrize("form", HEADERLESS)
def test_well_known_files_without_a_header(form, tmp_path):
    rng = np.random.default_rng(1)
    users, items = sparse(rng, 2_000)
    rows = [
        HEADERLESS[form](int(u), int(i), n, rng)
        for n, (u, i) in enumerate(zip(users, items, strict=True))
    ]
    path = tmp_path / "events.tsv"
    path.write_text("\n".join(rows) + "\n")
    data, tables = imported(path)
    assert (len(data.interactions), data.n_users, data.n_items) == (2_000, 40, 60)
    roles = tables["events.tsv"].roles
    assert ("time" in roles) == (form not in ("Million Song", "Last.fm 360K"))
    assert ("rating" in roles) == (form in ("Million Song", "Last.fm 360K"))
    if form == "Last.fm 360K":
        assert data.items.title[0].startswith("Artist of ")


def test_last_fm_1k_is_about_tracks(tmp_path):
    rng = np.random.default_rng(2)
    rows = []
    for n in range(1_000):
        track = int(rng.integers(0, 90))
        rows.append(
            f"user_{n % 30:06}\t2009-05-0{1 + n % 9}T13:4{n % 10}:0{n % 10}Z\tf1b1cf{track % 20:02}\t"
            f"The Band {track % 20}\t{'' if track % 3 else f'dc39{track:04}'}\tSong number {track}\n"
        )
    path = tmp_path / "events.tsv"
    path.write_text("".join(rows))
    data, _ = imported(path)
    assert (data.n_users, data.n_items, data.order) == (30, 90, "time")
    assert data.items.title[0].startswith("Song number")


def test_lines_of_ids_are_a_user_and_their_items(tmp_path):
    """train.txt of LightGCN: lines of different length."""
    path = tmp_path / "train.txt"
    path.write_text("0 1 2 3\n1 2\n2 0 1 2 3 4\n3 5 1\n4 0 1\n")
    data, _ = imported(path)
    assert (len(data.interactions), data.n_users, data.n_items) == (13, 5, 6)
    assert data.order == "file"


def test_amazon_2023_reviews_with_their_products(tmp_path):
    reviews = lines(
        '{{"rating": {r}.0, "title": "Nice {n}", "text": "x", "asin": "B1{i}", "parent_asin": "B0{i}",'
        ' "user_id": "AE{u}", "timestamp": {t}000, "helpful_vote": 0, "verified_purchase": true}}'
    )
    meta = "\n".join(
        json.dumps(
            {
                "main_category": "Beauty",
                "title": f"Cream {i}",
                "features": [],
                "price": None,
                "categories": ["Skin", "Face"],
                "details": {"Brand": "x"},
                "parent_asin": f"B0{i}",
            }
        )
        for i in ITEMS
    )
    (tmp_path / "Beauty.jsonl.gz").write_bytes(gzip.compress(reviews.encode()))
    (tmp_path / "meta_Beauty.jsonl").write_text(meta)
    data, _ = imported(tmp_path)
    assert data.items.title.tolist() == [f"Cream {i}" for i in ITEMS]
    assert data.items.genres[0] == "Skin|Face"
    assert data.order == "time"
