"""What was found out about a table, and what the importer may be told instead."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llmrec_core.data.sources import Source
from llmrec_core.errors import UsageError

FORMATS = ("delimited", "atomic", "json-lines", "json", "python-lines", "parquet")
KINDS = ("interactions", "items", "users", "edges", "tags", "tag-names", "sequences", "lists", "prompts", "other")
TIME_UNITS = ("s", "ms", "us", "ns", "order", "text")
TIME_FORMATS = {
    "%Y-%m-%d %H:%M:%S": "2018-07-07 22:09:11",
    "%Y-%m-%dT%H:%M:%S": "2018-07-07T22:09:11",
    "%Y-%m-%dT%H:%M:%SZ": "2018-07-07T22:09:11Z",
    "%Y-%m-%dT%H:%M:%S.%fZ": "2018-07-07T22:09:11.000Z",
    "%Y-%m-%dT%H:%M:%S%z": "2018-07-07T22:09:11+00:00",
    "%Y-%m-%d": "2018-07-07",
    "%Y/%m/%d": "2018/07/07",
    "%m %d, %Y": "07 07, 2018",
    "%a %b %d %H:%M:%S %z %Y": "Sat Jul 07 22:09:11 -0700 2018",
    "Posted %B %d, %Y.": "Posted July 7, 2018.",
    "%B %d, %Y": "July 7, 2018",
    "%d-%b-%Y": "07-Jul-2018",
    "%d.%m.%Y": "07.07.2018",
    "%d/%m/%Y": "07/07/2018 (day first)",
    "%m/%d/%Y": "07/07/2018 (month first)",
}

# Names that a role goes by, after lower-casing and dropping everything but letters and digits; earlier ones win.
ROLE_NAMES: dict[str, tuple[str, ...]] = {
    "user": (
        "userid", "user", "uid", "reviewerid", "customerid", "memberid", "steamid", "username", "visitorid",
        "sessionid", "profilename",
        "buyerid", "accountid", "listenerid", "followerid", "member",
    ),
    "item": (
        "itemid", "item", "iid", "movieid", "parentasin", "asin", "productid", "artistid", "businessid", "bookid",
        "gameid", "appid",
        "songid", "trackid", "isbn", "newsid", "articleid", "videoid", "recipeid", "gmapid", "animeid", "beerid",
        "beerbeerid", "jokeid",
        "product", "movie", "book", "artist", "song", "track", "contentid",
    ),
    "rating": (
        "rating", "ratings", "stars", "score", "overall", "reviewoverall", "weight", "playcount", "plays",
        "listencount", "count", "listens",
        "hours", "playtimeforever", "playtime", "recommend", "isrecommended", "votedup", "label", "clicked", "click",
        "isread",
    ),
    "time": (
        "timestamp", "unixreviewtime", "time", "ts", "tstamp", "datetime", "date", "createdat", "dateadded",
        "reviewtime", "unixtime",
        "eventtime", "posted", "dateupdated", "timestamps",
    ),
    "title": (
        "title", "movietitle", "itemtitle", "producttitle", "name", "artistname", "booktitle", "appname", "itemname",
        "productname",
        "trackname", "songname", "businessname",
    ),
    "genres": ("genres", "genre", "categories", "category", "class", "tags", "style"),
    "year": ("year", "releaseyear", "publicationyear", "yearofpublication"),
    "friend": ("friendid", "friend", "friends", "followeeid", "followee", "trusteeid", "trustee", "targetuserid",
    "userid2"),
    "tag": ("tagid", "tag", "tagvalue", "tagname"),
    "history": ("itemidlist", "historymovieid", "history", "historyitemid", "itemlist", "sequence", "historyitems"),
    "history-rating": ("historyrating", "historyratings", "ratinglist"),
    "prompt": ("input", "prompt"),
    "answer": ("output", "answer", "completion"),
}  # fmt: skip
COUNT_NAMES = (
    "weight",
    "playcount",
    "plays",
    "listencount",
    "count",
    "listens",
    "hours",
    "playtimeforever",
    "playtime",
)


@dataclass(frozen=True)
class Options:
    """What a person may fix instead of letting it be found; None and empty mean "find it"."""

    format: str = ""
    separator: str = ""
    encoding: str = ""
    header: bool | None = None
    user: str = ""
    """Column by name, or by number from 1; so with the next four."""
    item: str = ""
    rating: str = ""
    time: str = ""
    title: str = ""
    time_unit: str = ""
    time_format: str = ""
    order: str = ""
    kind: str = ""
    """For one file: what kind of table it is."""
    skip_bad_rows: bool = False

    def __post_init__(self) -> None:
        for name, allowed in (
            ("format", FORMATS),
            ("kind", KINDS),
            ("time_unit", TIME_UNITS),
            ("order", ("time", "file", "none")),
        ):
            value = getattr(self, name)
            if value and value not in allowed:
                raise UsageError(f"--{name.replace('_', '-')} is {value!r}; expected one of {', '.join(allowed)}")

    @property
    def columns(self) -> dict[str, str]:
        """Role → column, where given."""
        given = {"user": self.user, "item": self.item, "rating": self.rating, "time": self.time, "title": self.title}
        return {role: column for role, column in given.items() if column}


@dataclass
class Table:
    """One source, understood: how to read it, what it is, and why that is believed."""

    source: Source
    format: str
    kind: str = "other"
    encoding: str = "utf-8"
    separator: str = ""
    header: bool = True
    columns: list[str] = field(default_factory=list)
    roles: dict[str, str] = field(default_factory=dict)
    time_unit: str = ""
    time_format: str = ""
    evidence: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """For the report: everything but the machine's own path."""
        return {
            "file": self.source.label,
            "kind": self.kind,
            "format": self.format,
            "encoding": self.encoding,
            "separator": self.separator,
            "header": self.header,
            "columns": self.columns[:50],
            "roles": self.roles,
            "time_unit": self.time_unit,
            "evidence": self.evidence,
        }
