"""Other people's files, with no flag: one small file a form, and what must come out of it."""

import gzip
import json
import zipfile

import pandas as pd
import pytest

from llmrec_core.data.importing.described_table import Options
from llmrec_core.data.importing.plan import plan_import
from llmrec_core.data.importing.reading import read_plan
from llmrec_core.errors import UsageError

EVENTS = [
    ("u1", "i1", "5", 1_500_000_000),
    ("u1", "i2", "3.5", 1_500_000_100),
    ("u2", "i1", "1", 1_500_000_200),
]


def imported(path, **options):
    roles = ("user", "item", "rating", "time", "title")
    columns = {role: options.pop(role) for role in roles if role in options}
    chosen = Options(columns=columns, **options)
    return read_plan(plan_import(path, chosen), "toy", chosen)


def as_rows(data):
    table = data.interactions
    users, items = data.users.user_id, data.items.item_id
    return [
        (users[r.user], items[r.item], float(r.rating), r.timestamp) for r in table.itertuples()
    ]


EXPECTED = [(u, i, float(r), float(t)) for u, i, r, t in EVENTS]


def delimited(separator, header=None, rows=EVENTS):
    lines = [separator.join(map(str, row)) for row in rows]
    return "\n".join([separator.join(header), *lines] if header else lines) + "\n"


STANDARD = ("user_id", "item_id", "rating", "timestamp")
JSON_ROWS = [
    dict(zip(("reviewerID", "asin", "overall", "unixReviewTime"), (u, i, float(r), t), strict=True))
    for u, i, r, t in EVENTS
]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ratings.csv", delimited(",", STANDARD)),
        ("ratings.csv", delimited(";", ("User ID", "Item", "Score", "Time"))),
        ("ratings.csv", "\ufeff" + delimited(",", STANDARD).replace("\n", "\r\n")),
        ("u.data", delimited("\t")),
        ("ratings.dat", delimited("::")),
        ("ratings.txt", delimited("|", STANDARD)),
        ("ratings_Beauty.csv", delimited(",")),
        (
            "toy.inter",
            delimited("\t", ("user_id:token", "item_id:token", "rating:float", "timestamp:float")),
        ),
        ("reviews.json", "\n".join(map(json.dumps, JSON_ROWS))),
        ("reviews.json", json.dumps(JSON_ROWS, indent=1)),
        (
            "steam.json",
            "\n".join(
                str({"username": u, "product_id": i, "hours": float(r), "date": t})
                for u, i, r, t in EVENTS
            ),
        ),
        ("ms.csv", delimited(",", STANDARD, [(u, i, r, t * 1000) for u, i, r, t in EVENTS])),
    ],
)
def test_interactions_in_every_text_form(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert as_rows(imported(path)) == EXPECTED
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert as_rows(imported(packed)) == EXPECTED
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, f"folder/{name}")
    assert as_rows(imported(tmp_path / "all.zip")) == EXPECTED


def test_parquet(tmp_path):
    frame = pd.DataFrame(EVENTS, columns=STANDARD).astype({"rating": float})
    frame.to_parquet(tmp_path / "anything")
    assert as_rows(imported(tmp_path / "anything")) == EXPECTED
    frame.assign(timestamp=pd.to_datetime(frame.timestamp, unit="s")).to_parquet(tmp_path / "dates")
    assert [row[3] for row in as_rows(imported(tmp_path / "dates"))] == [row[3] for row in EXPECTED]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2018-07-07 22:09:11", 1_531_001_351),
        ("2018-07-07", 1_530_921_600),
        ("07 07, 2018", 1_530_921_600),
        ("Sat Jul 07 22:09:11 -0700 2018", 1_531_026_551),
        ("Posted July 7, 2018.", 1_530_921_600),
    ],
)
def test_written_times(tmp_path, written, seconds):
    path = tmp_path / "reviews.jsonl"
    path.write_text(json.dumps({"user_id": "u", "business_id": "b", "stars": 4, "date": written}))
    assert as_rows(imported(path)) == [("u", "b", 4.0, float(seconds))]


def test_latin_1_titles_and_flags_of_movielens_100k(tmp_path):
    flags = "|".join("1" if genre == 5 else "0" for genre in range(19))
    (tmp_path / "u.item").write_bytes(
        f"1|Misérables, Les (1995)|01-Jan-1995||http://x|{flags}\n2|Heat (1995)|01-Jan-1995||http://y|{flags}\n".encode(
            "latin-1"
        )
    )
    (tmp_path / "u.data").write_text("7\t1\t3\t881250949\n7\t2\t4\t881250950\n8\t1\t2\t881250951\n")
    data = imported(tmp_path)
    assert data.items.title.tolist() == ["Les Misérables (1995)", "Heat (1995)"]
    assert data.items.genres.tolist() == ["Comedy", "Comedy"]
    assert data.items.year.tolist() == [1995, 1995]


def test_a_folder_of_tables_is_joined_and_what_is_left_out_is_said(tmp_path):
    (tmp_path / "ratings.dat").write_text(delimited("::"))
    (tmp_path / "movies.dat").write_text(
        "i1::Matrix, The (1999)::Action|Sci-Fi\ni9::Heat (1995)::Crime\n"
    )
    (tmp_path / "friends.csv").write_text("user_id,friend_id\nu1,u2\nu2,u1\n")
    (tmp_path / "links.csv").write_text("item_id,imdb\ni1,0133093\n")
    (tmp_path / "README.md").write_text("hello")
    plan = plan_import(tmp_path, Options())
    assert [label for label, _ in plan.skipped] == ["README.md"]
    data = read_plan(plan, "toy", Options())
    assert data.items.title.tolist() == ["The Matrix (1999)", "Heat (1995)", ""]
    assert data.items.imdb.tolist()[0] == "0133093"
    assert data.extras["edges"].values.tolist() == [["u1", "u2"], ["u2", "u1"]]
    assert data.order == "time"


def test_yelp_and_goodreads_like_dumps(tmp_path):
    (tmp_path / "review.json").write_text(
        json.dumps(
            {
                "review_id": "r",
                "user_id": "u1",
                "business_id": "b1",
                "stars": 4,
                "date": "2018-07-07 22:09:11",
            }
        )
    )
    (tmp_path / "business.json").write_text(
        json.dumps(
            {
                "business_id": "b1",
                "name": "Café Ö",
                "categories": "Coffee, Food",
                "hours": {"Mo": "9-5"},
            }
        )
    )
    (tmp_path / "user.json").write_text(
        json.dumps({"user_id": "u1", "name": "Ann", "friends": "u2, u3"})
    )
    data = imported(tmp_path)
    assert (data.items.title[0], data.items.genres[0]) == ("Café Ö", "Coffee|Food")
    assert data.extras["edges"].friend_id.tolist() == ["u2", "u3"]
    path = tmp_path / "goodreads_interactions.csv"
    path.write_text("user_id,book_id,is_read,rating,is_reviewed\n0,948,1,5,0\n0,947,1,4,1\n")
    assert [row[2] for row in as_rows(imported(path))] == [5.0, 4.0]


def test_histories_and_candidate_lists_of_llmrank(tmp_path):
    (tmp_path / "Toy.test.inter").write_text(
        "user_id:token\titem_id_list:token_seq\titem_id:token\n0\t1 2 3\t4\n1\t2 5\t1\n"
    )
    (tmp_path / "Toy.item").write_text(
        "item_id:token\ttitle:token_seq\n" + "".join(f"{i}\tGame {i}\n" for i in range(1, 7))
    )
    (tmp_path / "Toy.bm25").write_text("0\t4 6 5 2\n1\t6 1 3 4\n")
    data = imported(tmp_path)
    assert data.order == "file"
    assert [(u, i) for u, i, _, _ in as_rows(data)] == [
        ("0", "1"),
        ("0", "2"),
        ("0", "3"),
        ("0", "4"),
        ("1", "2"),
        ("1", "5"),
        ("1", "1"),
    ]
    assert data.extras["lists"].values.tolist() == [
        ["bm25", "0", "4 6 5 2"],
        ["bm25", "1", "6 1 3 4"],
    ]


PROMPT = (
    'User Preference: "Heat (1995)"\nUser Unpreference: {}\n'
    'Whether the user will like the target movie "Postman, The (1997)"?'
)


def test_prompts_alone_and_with_labelled_histories(tmp_path):
    prompts = [
        {"instruction": "x", "input": PROMPT.format('"Speed (1994)"'), "output": "Yes."},
        {"instruction": "x", "input": PROMPT.format(""), "output": "No."},
    ]
    (tmp_path / "test.json").write_text(json.dumps(prompts))
    alone = imported(tmp_path)
    assert alone.items.title.tolist() == ["Heat (1995)", "Speed (1994)", "The Postman (1997)"]
    assert alone.interactions.rating.tolist() == [1, 0, 1, 1, 0]
    (tmp_path / "baseline_test.csv").write_text(
        "user_id,history_movie_id,history_rating,movie_id,rating,timestamp\n"
        '9,"[\'10\', \'20\']","[1, 0]",30,1,891194089\n9,"[\'10\']","[1]",30,0,891194090\n'
    )
    both = imported(tmp_path)
    assert dict(zip(both.items.item_id, both.items.title, strict=True)) == {
        "30": "The Postman (1997)",
        "10": "Heat (1995)",
        "20": "Speed (1994)",
    }
    assert both.extras["pairs"].history.tolist() == ["10 20", "10"]


def test_what_cannot_be_decided_is_asked_and_the_flag_settles_it(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("1,2\n3,4\n5,6\n")
    with pytest.raises(UsageError, match="--kind"):
        imported(path)
    assert len(imported(path, kind="interactions").interactions) == 3
    path.write_text("who,what,when_\na,x,01/02/2013\nb,y,03/04/2013\n")
    with pytest.raises(UsageError, match="--user and --item"):
        imported(path)
    with pytest.raises(UsageError, match="--time-format"):
        imported(path, user="who", item="what", time="when_")
    assert (
        as_rows(imported(path, user="1", item="2", time="3", time_format="%d/%m/%Y"))[0][3]
        == 1_359_676_800
    )


def test_no_times_means_no_order_unless_said(tmp_path):
    path = tmp_path / "likes.csv"
    path.write_text("user,item\na,x\na,y\nb,x\n")
    assert imported(path).order == "none"
    assert imported(path, order="file").order == "file"
    assert imported(path).interactions.timestamp.isna().all()
