"""What is this file? Format, encoding, separator, header, the role of each column and what kind of table it makes.

Every decision leaves a line of evidence. What cannot be decided is asked with one sentence that names the flag.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter

import pandas as pd

from llmrec_core.data.reading import check_parquet, chunks, json_records, open_parquet, text_stream
from llmrec_core.data.sources import Source, open_source
from llmrec_core.data.tables import ROLE_NAMES, Options, Table
from llmrec_core.data.textstream import find_encoding
from llmrec_core.data.times import find_time_unit
from llmrec_core.errors import DataError, UsageError

SEPARATORS = ("\t", "::", ",", ";", "|", "\x01", " ")
MAX_COLUMNS = 1_000
SAMPLE_CHARACTERS = 1 << 19
SAMPLE_ROWS = 5_000
_ALL_NAMES = {name for names in ROLE_NAMES.values() for name in names} | {"id"}
ML_100K_GENRES = (
    "", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror",
    "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip


class Undecided(UsageError):
    """What a file is could be two things, or nothing that is known; the message names the flag that settles it."""


def describe(source: Source, options: Options) -> Table:
    """The table behind a source.

    Raises:
        DataError: damage, with file, line and column where known.
        Undecided: when a flag is needed.
    """
    with open_source(source) as stream:
        start = stream.read(4)
    if not start:
        raise DataError(f"{source.label} is empty; expected a table with at least one row")
    if start == b"PAR1" or options.format == "parquet":
        table = _describe_parquet(source)
    else:
        table = _describe_text(source, options)
    if len(table.columns) > MAX_COLUMNS:
        raise DataError(
            f"{source.label}, line 1: {len(table.columns):,} columns or more; at most {MAX_COLUMNS:,} are read. "
            "Expected one row an interaction: user, "
            "item, and perhaps rating and time"
        )
    sample = next(chunks(table, limit=SAMPLE_ROWS, skip_bad_rows=options.skip_bad_rows), None)
    if sample is None:
        raise DataError(
            f"{source.label} has no rows{' below its header' if table.header else ''}; expected at least one"
        )
    _assign_roles(table, sample, options)
    return table


def _describe_parquet(source: Source) -> Table:
    check_parquet(source)
    columns = [str(name) for name in open_parquet(source).schema_arrow.names]
    if len(set(columns)) < len(columns):
        raise DataError(f"{source.label}: two columns have one name; expected a name of its own for each")
    return Table(source, "parquet", columns=columns, evidence=["begins with PAR1: Parquet"])


def _describe_text(source: Source, options: Options) -> Table:
    if options.encoding:
        # A person who names an encoding has decided what damaged letters mean: they become U+FFFD.
        encoding, why = f"{options.encoding}:replace", "encoding given by --encoding"
        try:
            "".encode(options.encoding)
        except LookupError as error:
            raise UsageError(
                f"--encoding is {options.encoding!r}, which Python does not know; e.g. utf-8, cp1252, utf-16"
            ) from error
    else:
        found = find_encoding(source)
        encoding, why = found.name, found.evidence
    with open_source(source) as raw:
        text = text_stream(source, raw, encoding).read(SAMPLE_CHARACTERS).decode("utf-8", "ignore").lstrip("\ufeff")
    if not text.strip():
        raise DataError(f"{source.label} holds only blank space; expected a table with at least one row")
    table = Table(source, options.format or _text_format(source, text), encoding=encoding, evidence=[why])
    if table.format in ("json-lines", "python-lines", "json"):
        table.columns = _json_columns(table, text)
        table.evidence.append(f"{table.format}: fields {', '.join(table.columns[:12])}")
    else:
        _describe_delimited(table, text, options)
    return table


def _text_format(source: Source, text: str) -> str:
    start = text.lstrip()
    if start.startswith(("{'", '{u"', "{u'")):
        return "python-lines"
    if start.startswith("{"):
        first = start.split("\n", 1)[0]
        try:
            json.loads(first)
        except ValueError as error:
            if re.match(r"\{\s*$", first) or first.rstrip().endswith(","):
                raise Undecided(
                    f"{source.label} is one JSON object over several lines; expected a list of objects, or one a line"
                ) from error
        return "json-lines"
    if re.match(r"\[\s*(\{|$)", start[:200]):
        return "json"
    first = start.split("\n", 1)[0]
    return "atomic" if re.search(r"\w:(token|float)(_seq)?(\t|\r|$)", first) else "delimited"


def _json_columns(table: Table, text: str) -> list[str]:
    if table.format == "json":
        records = json_records(table.source, table.encoding)[:200]
        return list(dict.fromkeys(str(key) for record in records for key in record))[: MAX_COLUMNS + 1]
    probe = Table(table.source, table.format, encoding=table.encoding)
    fields: dict[str, None] = {}
    import ast

    parse = json.loads if table.format == "json-lines" else ast.literal_eval
    lines = text.split("\n")
    whole = lines if len(text) < SAMPLE_CHARACTERS - 4 else lines[:-1]
    for number, line in enumerate(whole[:2000], 1):
        if line.strip():
            try:
                fields.update(dict.fromkeys(str(key) for key in parse(line.strip())))
            except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
                if number == 1:
                    raise DataError(
                        f"{probe.source.label}, line 1: not a JSON object ({str(error)[:100]}); expected one object "
                        "a line, or another --format"
                    ) from error
    return list(fields)


def _describe_delimited(table: Table, text: str, options: Options) -> None:
    lines = text.split("\n")
    if len(text) >= SAMPLE_CHARACTERS - 4 and len(lines) > 1:
        lines = lines[:-1]
    table.separator = options.separator.replace("\\t", "\t") or (
        "\t" if table.format == "atomic" else _separator(table, lines)
    )
    rows = _parse(lines[:500], table.separator)
    first = [cell.strip() for cell in rows[0]]
    if table.format == "atomic":
        table.header, first = True, [cell.rpartition(":")[0] or cell for cell in first]
        table.evidence.append("header with RecBole types (name:token)")
    else:
        table.header, why = (
            (options.header, "header given by flag") if options.header is not None else _has_header(first, rows[1:])
        )
        table.evidence.append(why)
    if table.header:
        twice = [name for name, count in Counter(first).items() if count > 1]
        if twice:
            where = [number for number, name in enumerate(first, 1) if name == twice[0]]
            raise DataError(
                f"{table.source.label}, line 1, columns {where[0]} and {where[1]}: both are called {twice[0]!r}; "
                "rename one"
            )
        table.columns = [name or f"column {number}" for number, name in enumerate(first, 1)]
    else:
        table.columns = [f"column {number}" for number in range(1, len(first) + 1)]


def _parse(lines: list[str], separator: str) -> list[list[str]]:
    if separator in ",;":
        csv.field_size_limit(1 << 24)
        return [row for row in csv.reader(io.StringIO("\n".join(lines)), delimiter=separator) if row]
    return [line.rstrip("\r").split(separator) for line in lines if line.strip()]


def _separator(table: Table, lines: list[str]) -> str:
    best: tuple[float, int, str] = (0.0, 0, "")
    for separator in SEPARATORS:
        try:
            counts = Counter(len(row) for row in _parse(lines[:300], separator))
        except csv.Error:
            continue
        usual, times = counts.most_common(1)[0]
        share = times / sum(counts.values())
        if usual >= 2 and (round(share, 1), usual if separator != " " else 0) > best[:2] and share > 0.5:
            best = (round(share, 1), usual if separator != " " else 0, separator)
            if separator in ("\t", "::") and share > 0.95:
                break
    if not best[2]:
        raise DataError(
            f"{table.source.label}: one column only, none of tab :: , ; | gives two or more; expected at least a "
            "user and an item. If something "
            "else separates them, name it with --separator"
        )
    table.evidence.append(f"separator {best[2]!r}: {best[0]:.0%} of the first lines have the same number of columns")
    return best[2]


def _normal(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _number(cell: str) -> bool:
    return bool(re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", cell.strip()))


def _has_header(first: list[str], rest: list[list[str]]) -> tuple[bool, str]:
    known = [name for name in first if _normal(name) in _ALL_NAMES]
    if known and not any(_number(cell) for cell in first):
        return True, f"header: {', '.join(known[:6])} are known names"
    if not any(_number(cell) for cell in first) and rest:
        below = [
            c
            for c in range(len(first))
            if not re.search(r"\d", first[c]) and all(len(row) > c and re.search(r"\d", row[c]) for row in rest[:50])
        ]
        if below:
            return True, f"header: {first[below[0]]!r} stands above numbers"
    return False, f"no header: the first row looks like the others ({', '.join(cell[:30] for cell in first[:4])})"


def _assign_roles(table: Table, sample: pd.DataFrame, options: Options) -> None:
    given = {}
    for role, column in options.columns.items():
        if column.isdigit() and 1 <= int(column) <= len(table.columns) and column not in table.columns:
            column = table.columns[int(column) - 1]
        if column in table.columns:
            given[role] = column
            table.evidence.append(f"{role} is column {column!r}, given by flag")
    if table.header:
        _roles_by_name(table)
    else:
        _roles_by_content(table, sample, given, options)
    table.roles.update(given)
    for role, column in list(table.roles.items()):
        if role not in given and column in given.values():
            del table.roles[role]
    if options.kind:
        table.kind = options.kind
    elif table.header or {"user", "item"} <= set(given):
        table.kind = _kind(table)
    if table.kind == "interactions" and not {"user", "item"} <= set(table.roles):
        missing = next(role for role in ("user", "item") if role not in table.roles)
        raise Undecided(_ask(table, missing))
    if table.kind == "other" and not table.header:
        raise Undecided(_ask(table, "user"))
    if "time" in table.roles and table.kind in ("interactions", "sequences"):
        _settle_time(table, sample, options)


def _ask(table: Table, missing: str) -> str:
    return (
        f"{table.source.label}: cannot tell which column is the {missing} ({', '.join(table.columns[:8])}); name "
        "them with --user and --item, by "
        "name or by number from 1"
    )


def _settle_time(table: Table, sample: pd.DataFrame, options: Options) -> None:
    if options.time_format:
        table.time_unit, table.time_format = "text", options.time_format
    elif options.time_unit:
        table.time_unit = options.time_unit
    else:
        table.time_unit, table.time_format, why = find_time_unit(
            sample[table.roles["time"]], table.roles["time"], table.source.label
        )
        table.evidence.append(why)


def _roles_by_name(table: Table) -> None:
    normal = {_normal(name): name for name in reversed(table.columns)}
    for role, names in ROLE_NAMES.items():
        for name in names:
            if name in normal:
                table.roles[role] = normal[name]
                break
    if "item" not in table.roles and "id" in normal and "title" in table.roles:
        table.roles["item"] = normal["id"]
    if {"title", "user"} <= set(table.roles) and "item" not in table.roles and {"rating", "time"} & set(table.roles):
        table.roles["item"] = table.roles["title"]


def _kind(table: Table) -> str:
    roles = set(table.roles)
    if {"prompt", "answer"} <= roles:
        return "prompts"
    if {"user", "history"} <= roles:
        return "sequences"
    if {"user", "friend"} <= roles and "item" not in roles:
        return "edges"
    if {"user", "item", "tag"} <= roles:
        return "tags"
    if {"user", "item"} <= roles:
        return "interactions"
    if "item" in roles:
        return "items"
    if "tag" in roles:
        return "tag-names"
    return "users" if "user" in roles else "other"


def _roles_by_content(table: Table, sample: pd.DataFrame, given: dict[str, str], options: Options) -> None:
    """Roles of a table without header, by what the columns hold; sets the kind as well."""
    columns, stem = table.columns, table.source.stem
    text = {c: sample[c].str.contains(r"[^\W\d_].*\s|\s.*[^\W\d_]", regex=True).mean() > 0.3 for c in columns}
    numeric = {c: sample[c].map(_number).mean() > 0.99 for c in columns}
    unique = {c: sample[c].nunique() == len(sample) for c in columns}
    second = sample[columns[1]] if len(columns) > 1 else pd.Series(dtype=str)
    if len(columns) == 2 and not text[columns[1]] and (second.str.count(" ") >= 2).mean() > 0.9:
        table.kind, table.roles = "lists", {"user": columns[0], "history": columns[1]}
        table.evidence.append("two columns, the second a list of ids: candidate lists per user")
        return
    times = [c for c in columns[2:] if _looks_like_time(sample[c], numeric[c])]
    titles = [c for c in columns[1:] if text[c] and c not in times]
    if unique[columns[0]] and titles and "rating" not in stem:
        table.kind, table.roles = "items", {"item": columns[0], "title": titles[0]}
        if len(columns) == 24 and all(set(sample[c]) <= {"0", "1"} for c in columns[5:]):
            table.evidence.append("24 columns, the last 19 of them 0 or 1: u.item of MovieLens 100k, flags are genres")
        elif len(columns) == 3 and "::" in table.separator:
            table.roles["genres"] = columns[2]
        table.evidence.append(f"first column unique, {titles[0]} is text: items")
        return
    if unique[columns[0]] and "user" in stem:
        table.kind, table.roles = "users", {"user": columns[0]}
        table.evidence.append("first column unique and 'user' in the name: users")
        return
    ratings = [c for c in columns[2:] if c not in times and numeric[c] and _looks_like_rating(sample[c])]
    ids = [c for c in columns if c not in times and c not in ratings and not text[c]]
    if len(columns) == 2 and not options.kind and not {"user", "item"} <= set(given):
        if any(word in stem for word in ("friend", "trust", "edge", "social", "follow")):
            table.kind, table.roles = "edges", {"user": columns[0], "friend": columns[1]}
            table.evidence.append("two id columns, and the name speaks of friends")
            return
        if not any(word in stem for word in ("rating", "inter", "click", "event", "purchase", "view")):
            raise Undecided(
                f"{table.source.label}: two columns of ids without header may be interactions or friend edges; say "
                "which with --kind interactions "
                "or --kind edges"
            )
    if len(ids) == 2 and len(ratings) <= 1 and not titles and (ratings or times or len(columns) == 2):
        table.kind = "edges" if options.kind == "edges" else "interactions"
        table.roles = {"user": ids[0], "friend" if table.kind == "edges" else "item": ids[1]}
        table.roles |= {"rating": ratings[0]} if ratings else {}
        table.roles |= {"time": times[0]} if times else {}
        table.evidence.append(
            f"by content: {', '.join(f'{role} = {column}' for role, column in table.roles.items())}; user before "
            "item by convention"
        )


def _looks_like_time(values: pd.Series, numeric: bool) -> bool:
    if numeric:
        return pd.to_numeric(values, errors="coerce").median() >= 3e8 and values.nunique() > 1
    return values.str.match(r"^\w{0,10}[\s,]*\d{1,4}[-/.]\d{1,2}[-/.]\d{2,4}").mean() > 0.9


def _looks_like_rating(values: pd.Series) -> bool:
    numbers = pd.to_numeric(values, errors="coerce").dropna()
    return len(numbers) > 0 and numbers.nunique() <= 25 and numbers.between(-100, 100).all()
