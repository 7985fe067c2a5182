"""What columns are called: names of well-known data sets, and words for a role in many languages.

`EXACT` holds whole names, as they stand in published files; earlier ones win. `role_words.toml` has
the words of ordinary headers ("Customer ID", "Kunde Nr.", "prod_name"): a name means a role when it
holds a word of that role and no word that makes it something else.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from pathlib import Path

EXACT: dict[str, tuple[str, ...]] = {
    "user": (
        "userid", "user", "uid", "reviewerid", "customerid", "memberid", "steamid", "username",
        "visitorid", "sessionid", "profilename", "buyerid", "accountid", "listenerid", "followerid",
        "member", "usersha1",
    ),
    "item": (
        "itemid", "item", "iid", "movieid", "parentasin", "asin", "productid", "businessid",
        "bookid", "gameid", "appid", "songid", "trackid", "isbn", "newsid", "articleid", "videoid",
        "recipeid", "gmapid", "animeid", "beerid", "beerbeerid", "jokeid", "venueid", "locationid",
        "product", "movie", "book", "song", "track", "contentid", "artistid", "artist",
        "artistmbid",
    ),
    "rating": (
        "rating", "ratings", "bookrating", "stars", "score", "overall", "reviewoverall", "weight",
        "playcount", "plays", "listencount", "count", "listens", "hours", "playtimeforever",
        "playtime", "recommend", "isrecommended", "votedup", "label", "clicked", "click", "isread",
    ),
    "time": (
        "timestamp", "unixreviewtime", "time", "ts", "tstamp", "datetime", "date", "createdat",
        "dateadded", "reviewtime", "unixtime", "eventtime", "eventdate", "posted", "dateupdated",
        "timestamps", "utctimestamp",
    ),
    "title": (
        "title", "movietitle", "itemtitle", "producttitle", "name", "booktitle", "appname",
        "itemname", "productname", "prodname", "trackname", "songname", "businessname",
        "artistname",
    ),
    "genres": ("genres", "genre", "categories", "category", "class", "tags", "style"),
    "year": ("year", "releaseyear", "publicationyear", "yearofpublication"),
    "friend": (
        "friendid", "friend", "friends", "followeeid", "followee", "trusteeid", "trustee",
        "targetuserid", "userid2",
    ),
    "tag": ("tagid", "tag", "tagvalue", "tagname"),
    "history": (
        "itemidlist", "historymovieid", "history", "historyitemid", "itemlist", "sequence",
        "historyitems",
    ),
    "history-rating": ("historyrating", "historyratings", "ratinglist"),
    "prompt": ("input", "prompt"),
    "answer": ("output", "answer", "completion"),
}  # fmt: skip
COUNT_NAMES = (
    "weight", "playcount", "plays", "listencount", "count", "listens", "hours", "playtimeforever",
    "playtime",
)  # fmt: skip
"""Ratings that are amounts, not points on a scale."""
REVIEW_NAMES = frozenset(
    {"reviewtext", "text", "review", "summary", "helpful", "helpfulvote", "verifiedpurchase",
     "reviewid", "vote"}
)  # fmt: skip
"""Columns that stand beside the headline of a review, which is no title of the item."""


def _words() -> dict[str, dict[str, frozenset[str]]]:
    """Role → language → words."""
    text = Path(__file__).with_name("role_words.toml").read_text(encoding="utf-8")
    return {
        role: {language: frozenset(words.split()) for language, words in languages.items()}
        for role, languages in tomllib.loads(text).items()
    }


_BY_LANGUAGE = _words()
USER, ITEM, IDENTIFIER, TITLE, CATEGORY, RATING, TIME, NO_EVENT_TIME, _NEUTRAL = (
    frozenset().union(*_BY_LANGUAGE[role].values())
    for role in (
        "user", "item", "identifier", "title", "category", "rating", "time", "no_event", "neutral",
    )
)  # fmt: skip
_VOCABULARY = USER | ITEM | IDENTIFIER | TITLE | CATEGORY | RATING | TIME
_CAMEL = re.compile(r"(?<=[a-zà-ÿ0-9])(?=[A-ZÀ-Þ])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")


def squeezed(name: str) -> str:
    """The name in lower case with letters and digits of ASCII only, as in `EXACT`.

    >>> squeezed("Book-Rating"), squeezed("userID")
    ('bookrating', 'userid')
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


def words_of(name: str) -> frozenset[str]:
    """The words of a header in lower case.

    >>> sorted(words_of("Product SKU (variant)")), sorted(words_of("reviewerID"))
    (['product', 'sku', 'variant'], ['id', 'reviewer'])
    """
    text = _CAMEL.sub(" ", unicodedata.normalize("NFKC", name))
    words = [word.casefold() for word in _WORD.findall(text)]
    return frozenset(part for word in words for part in _parts(word))


def _parts(word: str) -> list[str]:
    """The word, or the two known words that it is put together from ("artikelnummer")."""
    if word in _VOCABULARY:
        return [word]
    for cut in range(3, len(word) - 2):
        if word[:cut] in _VOCABULARY and word[cut:] in _VOCABULARY:
            return [word[:cut], word[cut:]]
    return [word]


def names_role(name: str) -> dict[str, int]:
    """Roles that a header can mean by its words, with how clearly: 3 the clearest.

    >>> names_role("Customer ID"), names_role("Product Name"), names_role("product_type_name")
    ({'user': 3}, {'title': 3}, {'genres': 2})
    >>> names_role("Bestellt am"), names_role("Price"), names_role("Artikel-SKU")
    ({'time': 2}, {}, {'item': 3})
    """
    contained = _contained(name)
    if contained:
        return contained
    words = words_of(name) - _NEUTRAL
    if words & CATEGORY:
        return {"genres": 2 if words & (ITEM | TITLE) else 1}
    if words & TITLE and not words & USER:
        return {"title": 3 if words & ITEM else 2} if words <= TITLE | ITEM else {}
    if words & NO_EVENT_TIME:
        return {}
    if words & USER:
        return {"user": 3 if words & IDENTIFIER else 1} if words <= USER | IDENTIFIER else {}
    if words & ITEM:
        worded = words <= ITEM | IDENTIFIER
        return {"item": 3 if words & IDENTIFIER and worded else 2 if worded else 1}
    if words & RATING:
        return {"rating": 2}
    if words & TIME:
        return {"time": 2 if words <= TIME else 1}
    return {}


def _contained(name: str) -> dict[str, int]:
    by_role = _BY_LANGUAGE["contained"]
    hits = [(len(word), role) for role, words in by_role.items() for word in words if word in name]
    return {max(hits)[1]: 3} if hits else {}
