"""Ordinary exports of strangers, without a flag: roles by content, other languages, several files."""

import json

import pytest

from llmrec_core.data.cleaning.inspection import inspect
from llmrec_core.data.importing.described_table import FileChoices, Options
from llmrec_core.data.importing.plan import plan_import
from llmrec_core.data.importing.reading import read_plan
from llmrec_core.data.splits import split
from llmrec_core.errors import DataError, UsageError


def imported(path, options=None):
    options = options or Options()
    plan = plan_import(path, options)
    return read_plan(plan, "toy", options), {table.source.label: table for table in plan.tables}


def held_out(data):
    cases = split(data, "loo").test
    return {
        data.users.user_id[case.user]: (
            [data.items.item_id[item] for item in case.history],
            data.items.item_id[case.relevant[0]],
        )
        for case in cases
    }


def test_fashion_transactions(tmp_path):
    """Dates under an unlisted name, a price that is no rating, ids that begin with zeros."""
    (tmp_path / "articles.csv").write_text(
        "article_id,product_code,prod_name,product_type_no,product_type_name,detail_desc\n"
        '0108,108,Strap top,25,Vest top,"Jersey top, narrow straps."\n'
        '0110,110,OP T-shirt,27,Bra,"Microfibre bra."\n'
        '0111,111,Stockings,28,Tights,"Semi shiny."\n'
        '0112,112,Shape Up,29,Tights,"Built-in support."\n'
    )
    (tmp_path / "transactions_train.csv").write_text(
        "t_dat,customer_id,article_id,price,sales_channel_id\n"
        "2020-09-22,00a,0111,0.0254,1\n2019-11-20,00a,0108,0.0508,1\n2020-02-03,00a,0110,0.0254,1\n"
        "2019-03-08,00b,0111,0.0084,2\n2018-09-20,00b,0108,0.0169,2\n2020-07-14,00b,0112,0.0220,2\n"
    )
    data, tables = imported(tmp_path)
    assert (len(data.interactions), data.n_users, data.n_items, data.order) == (6, 2, 4, "time")
    assert data.items.title.tolist() == ["Strap top", "OP T-shirt", "Stockings", "Shape Up"]
    assert data.items.genres.tolist() == ["Vest top", "Bra", "Tights", "Tights"]
    assert held_out(data) == {"00a": (["0108", "0110"], "0111"), "00b": (["0108", "0111"], "0112")}
    roles = tables["transactions_train.csv"].roles
    assert roles == {"user": "customer_id", "item": "article_id", "time": "t_dat"}
    assert any("not used: price" in line for line in tables["transactions_train.csv"].evidence)


ARTIKEL = "Artikel-SKU;Bezeichnung;Warengruppe;Preis\n" + "".join(
    f"S{n};{title};Outdoor;1{n},14\n"
    for n, title in enumerate(["Jacke", "Wanderstöcke", "Kocher", "Zelt"])
)
BESTELLUNGEN = "Kunde Nr.;Artikel-SKU;Bestellt am;Menge\n" + "".join(
    f"C{u};S{(u + n) % 4};{13 + u + n:02}.03.2026 09:0{n};1\n" for u in range(4) for n in range(3)
)


def test_german_headers(tmp_path):
    """Semicolons, cp1252, day first with hours, titles and categories under German names."""
    (tmp_path / "artikel.csv").write_bytes(ARTIKEL.encode("cp1252"))
    (tmp_path / "bestellungen.csv").write_bytes(BESTELLUNGEN.encode("cp1252"))
    data, tables = imported(tmp_path)
    assert (len(data.interactions), data.n_users, data.n_items, data.order) == (12, 4, 4, "time")
    assert data.items.title.tolist() == ["Jacke", "Wanderstöcke", "Kocher", "Zelt"]
    assert set(data.items.genres) == {"Outdoor"}
    assert data.interactions.timestamp[0] == 1_773_392_400  # 13 March 2026, 09:00
    assert tables["bestellungen.csv"].roles["user"] == "Kunde Nr."
    untitled = next(f for f in inspect(data).findings if f.check == "untitled")
    assert untitled.count == 0


def test_items_without_titles_are_counted(tmp_path):
    (tmp_path / "likes.csv").write_text("user,item\na,x\nb,y\n")
    data, _ = imported(tmp_path)
    untitled = next(f for f in inspect(data).findings if f.check == "untitled")
    assert (untitled.count, untitled.total) == (2, 2)


@pytest.mark.parametrize("columns", [{}, {"user": "1", "item": "2"}])
def test_shop_with_plain_headers(tmp_path, columns):
    """A column given by number means the table of interactions; the items stay items."""
    (tmp_path / "orders.csv").write_text(
        "Customer ID,Product SKU (variant),Ordered At,Quantity\n"
        + "".join(
            f"C{u},S{(u + n) % 4},2026-03-{4 + n:02} 09:07,1\n" for u in range(4) for n in (0, 1)
        )
    )
    (tmp_path / "products.csv").write_text(
        "Product SKU,Product Name,Department,Price\n"
        + "".join(f"S{n},Thing number {n},Camping,3{n}.14\n" for n in range(4))
    )
    data, tables = imported(tmp_path, Options(columns=columns))
    assert (len(data.interactions), data.n_users, data.n_items, data.order) == (8, 4, 4, "time")
    assert data.items.title[0] == "Thing number 0"
    assert set(data.items.genres) == {"Camping"}
    assert data.implicit  # neither price nor quantity is a rating
    assert tables["products.csv"].kind == "items"


def review(n, **more):
    return {
        "rating": 5.0,
        "title": ["Great", "Five Stars", "Meh", "Love it", "Okay", "Broke"][n % 6],
        "text": "Bought for the kitchen.",
        "asin": f"A{n}",
        "parent_asin": f"P{n % 3}",
        "user_id": f"u{n // 3}",
        "timestamp": 1_588_687_728_923 + n * 3_600_000,
        "helpful_vote": n,
        "verified_purchase": True,
        **more,
    }


def test_headlines_of_reviews_are_no_titles_and_a_time_in_the_year_1_is_counted(tmp_path):
    path = tmp_path / "Kitchen.jsonl"
    rows = [review(n) for n in range(11)] + [review(11, timestamp=-62_135_596_800_000)]
    path.write_text("\n".join(map(json.dumps, rows)))
    data, tables = imported(path)
    assert (len(data.interactions), data.n_users, data.n_items) == (12, 4, 3)
    assert set(data.items.title) == {""}
    assert any("title is not taken as title" in line for line in tables["Kitchen.jsonl"].evidence)
    findings = {finding.check: finding for finding in inspect(data).findings}
    assert findings["impossible-times"].count == 1
    assert findings["impossible-times"].on


def test_headlines_are_found_where_only_the_whole_file_shows_them(tmp_path):
    """The first rows have an item each; the item's second title comes after the sample."""
    path = tmp_path / "reviews.csv"
    first = [f"u{n},i{n},Headline {n},5,{1_500_000_000 + n}\n" for n in range(6_000)]
    again = [f"v{n},i{n},Other words {n},5,{1_600_000_000 + n}\n" for n in range(6_000)]
    path.write_text("user_id,item_id,title,rating,timestamp\n" + "".join(first + again))
    data, tables = imported(path)
    assert set(data.items.title) == {""}
    assert any("6,000 of 6,000 items" in line for line in tables["reviews.csv"].evidence)


def test_splits_with_a_history_column(tmp_path):
    """Published splits repeat the history in every row; no interaction counts twice."""
    (tmp_path / "Games.train.csv").write_text(
        "user_id,parent_asin,rating,timestamp,history\n"
        "a,B1,5.0,1500000000000,\na,B2,4.0,1500086400000,B1\n"
        "b,B3,5.0,1500010000000,\nb,B1,4.0,1500096400000,B3\n"
    )
    (tmp_path / "Games.valid.csv").write_text(
        "user_id,parent_asin,rating,timestamp,history\n"
        "a,B4,5.0,1500259200000,B1 B2\nb,B2,5.0,1500269200000,B3 B1\n"
    )
    (tmp_path / "Games.test.csv").write_text(
        "user_id,parent_asin,rating,timestamp,history\n"
        "a,B5,4.0,1500345600000,B1 B2 B4\nb,B6,4.0,1500355600000,B3 B1 B2\n"
    )
    data, _ = imported(tmp_path)
    assert (len(data.interactions), data.n_users, data.n_items) == (8, 2, 6)
    assert held_out(data) == {"a": (["B1", "B2", "B4"], "B5"), "b": (["B3", "B1", "B2"], "B6")}
    assert set(data.interactions.rating) == {4.0, 5.0}
    alone, _ = imported(tmp_path / "Games.test.csv")
    assert held_out(alone) == held_out(data)  # what stands only in a history is not lost


def test_the_column_that_points_to_the_items_is_the_item(tmp_path):
    """Names that mean nothing: values tell which column is in the table of items."""
    (tmp_path / "a.csv").write_text(
        "who,ref_a,ref_b,moment\n"
        + "".join(
            f"p{u},g{u % 3},x{(u + n) % 6},2024-05-{n + 1:02}\n" for u in range(9) for n in range(4)
        )
    )
    (tmp_path / "b.csv").write_text(
        "sku,label\n" + "".join(f"x{n},A thing called {n}\n" for n in range(6))
    )
    data, tables = imported(tmp_path, Options(columns={"user": "who"}))
    assert tables["a.csv"].roles == {"user": "who", "item": "ref_b", "time": "moment"}
    assert data.items.title.tolist() == [f"A thing called {n}" for n in range(6)]


def test_a_question_names_every_column_and_what_it_looks_like(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("alpha,beta,gamma\nx1,y1,2024-05-01\nx2,y2,2024-05-02\n")
    with pytest.raises((UsageError, DataError)) as caught:
        imported(path)
    for words in (
        "alpha: codes such as x1",
        "gamma: times such as 2024-05-01",
        "--user and --item",
    ):
        assert words in str(caught.value)


def test_all_problems_come_at_once(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(
        "user_id,item_id,rating,timestamp\nu1,i1,5,1500000000\nu1,,3,1500000100\n"
        "u2,i1,good,1500000200\nu2,i2,4,1500000300\nu3,i3,bad,1500000400\nu3,i1,2,1500000500,more\n"
        + "".join(f"u{n},i{n % 9},3,{1500000600 + n}\n" for n in range(400))
    )
    with pytest.raises(DataError, match="3 things stand in the way") as caught:
        imported(path)
    for words in (
        "line 3, column 'item_id': '' is empty",
        "line 4, column 'rating': 'good' is no number (and 1 row more like it)",
        "line 7: 5 columns where the others have 4",
    ):
        assert words in str(caught.value)
    data, tables = imported(path, Options(skip_bad_rows=True))
    assert len(data.interactions) == 402
    assert sorted(tables["ratings.csv"].left_out.values()) == [1, 1, 2]


def test_day_or_month_is_read_from_the_whole_file_or_asked(tmp_path):
    path = tmp_path / "orders.csv"
    rows = [f"u{n},i{n % 7},{1 + n % 9:02}/{1 + n % 5:02}/2024\n" for n in range(6_000)]
    path.write_text("user,item,date\n" + "".join(rows))
    with pytest.raises(UsageError, match="day or month first"):
        imported(path)
    path.write_text("user,item,date\n" + "".join([*rows, "u1,i1,28/03/2024\n"]))
    data, _ = imported(path)
    assert data.interactions.timestamp.iloc[-1] == 1_711_584_000  # 28 March 2024
    month_first, _ = imported(
        path, Options(files={"orders.csv": FileChoices(time_format="%d/%m/%Y")})
    )
    assert month_first.interactions.timestamp.iloc[-1] == 1_711_584_000


def test_positions_are_no_instants(tmp_path):
    path = tmp_path / "steps.csv"
    path.write_text("user,item,time\n" + "".join(f"u,i{n},{n}\n" for n in range(9)))
    data, _ = imported(path)
    assert data.order == "position"
    assert held_out(data)["u"][1] == "i8"


LANGUAGES = {
    "fr": ("Numéro client;Référence produit;Date de commande", "Référence produit;Libellé;Rayon"),
    "es": (
        "ID de cliente;Código de producto;Fecha del pedido",
        "Código de producto;Nombre;Categoría",
    ),
    "it": ("Codice cliente;Codice articolo;Data ordine", "Codice articolo;Nome;Reparto"),
    "nl": ("Klantnummer;Artikelnummer;Besteldatum", "Artikelnummer;Naam;Afdeling"),
    "ru": ("Код клиента;Код товара;Дата заказа", "Код товара;Название;Категория"),
    "zh": ("客户编号;商品编号;日期", "商品编号;商品名;分类"),
    "ja": ("顧客番号;商品コード;注文日", "商品コード;商品名;カテゴリ"),
    "ko": ("고객번호;상품코드;날짜", "상품코드;상품명;분류"),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_headers_in_other_languages(tmp_path, language):
    orders, goods = LANGUAGES[language]
    (tmp_path / "one.csv").write_text(
        f"{orders}\n"
        + "".join(f"k{u};w{n};2024-03-{u + n + 1:02}\n" for u in range(4) for n in range(3))
    )
    (tmp_path / "two.csv").write_text(
        f"{goods}\n" + "".join(f"w{n};Something nice {n};Sort\n" for n in range(3))
    )
    data, _ = imported(tmp_path)
    assert (len(data.interactions), data.n_users, data.n_items, data.order) == (12, 4, 3, "time")
    assert data.items.title.tolist() == [f"Something nice {n}" for n in range(3)]
    assert set(data.items.genres) == {"Sort"}


@pytest.mark.parametrize(
    ("encoding", "title"),
    [
        ("cp1252", "Les Misérables, œuvre complète"),
        ("cp1250", "Příliš žluťoučký kůň úpěl"),
        ("cp1251", "Преступление и наказание"),
        ("cp1253", "Πολίτικη κουζίνα"),
        ("cp932", "千と千尋の神隠し アニメ"),
        ("gb18030", "卧虎藏龙 厨房用品"),
        ("cp949", "기생충 올드보이 영화"),
        ("utf-16", "Wanderstöcke"),
    ],
)
def test_encodings_of_exports(tmp_path, encoding, title):
    path = tmp_path / "ratings.csv"
    rows = [f'u{n},i1,"{title}",{1_500_000_000 + n}\n' for n in range(4)]
    path.write_bytes(("user_id,item_id,title,timestamp\n" + "".join(rows)).encode(encoding))
    data, _ = imported(path)
    assert data.items.title.tolist() == [title]


@pytest.mark.threat("terminal-codes")
def test_names_from_files_cannot_steer_a_terminal(tmp_path):
    path = tmp_path / "t.jsonl"
    rows = [
        {"user_id": f"u\u202e{n}", "item_id": f"i\x1b[31m{n}", "ti\x1b[2Jtle": "x", "timestamp": n}
        for n in range(4)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    data, tables = imported(path)
    said = " ".join([*tables["t.jsonl"].columns, *tables["t.jsonl"].evidence])
    assert "\x1b" not in said
    assert data.users.user_id[0] == "u0"
    assert data.items.item_id[0] == "i[31m0"


def test_lines_above_a_header_are_no_interactions(tmp_path):
    """A shop's export with its title and a blank line above the header, and the same without."""
    rows = [
        f"K{u};{i:05d};Shoe number {i};0{1 + i % 9}.1{u % 3}.2025"
        for u in range(8)
        for i in range(6)
    ]
    header = "Kunden-Nr.;Art.-Nr.;Artikelbezeichnung;Kaufdatum"
    path = tmp_path / "orders.csv"
    path.write_text("\n".join(["Orders;as of 01.11.2025;;", "", header, *rows]))
    with pytest.raises(
        DataError, match=r"the header \(Kunden-Nr\., .* is not the first row; remove"
    ):
        imported(path)
    path.write_text("\n".join([header, *rows]))
    assert len(imported(path)[0].interactions) == 48
