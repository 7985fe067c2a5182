"""What records say of one person, taken out of them on their request.

Figures are means over many people and stay. What stands under a person's own code or id goes: their
values behind the figures, their lists and reasons, their places in slices, and what was asked about
them. Each record gets a new digest; a damaged one is left alone, so that it stays visible as such.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from llmrec_core.ledger import schema
from llmrec_core.ledger.digests import Digests, write_digest
from llmrec_core.ledger.json_values import Json
from llmrec_core.ledger.owners import base_name

runs, samples, documents = schema.runs, schema.samples, schema.documents
RECORD = "record.json"
"""The record as the run left it, in its folder; the ledger has it too."""
SLICES, FACETS = "slices", "facets"
"""Beginnings of the names of documents that list people by their codes."""


class Removal(Digests):
    """The part of the ledger that forgets people."""

    def remove_person(self, data: str, user_id: str, code: int) -> list[str]:
        """Take one person out of the records of all runs on a data set.

        Args:
            data: name of the data set, without a version.
            user_id: the person, as in the data set.
            code: their number in it.

        Returns:
            The ids of the runs whose records were looked through; damaged ones are not.
        """
        with self.reading() as connection:
            rows = connection.execute(sa.select(runs.c.id, runs.c.spec)).all()
        ids = [row.id for row in rows if base_name(str(row.spec["data"]["name"])) == data]
        damaged = set(self.damaged(ids))
        whole = [run_id for run_id in ids if run_id not in damaged]
        with self.writing() as connection:
            for run_id in whole:
                _samples(connection, run_id, code)
                _documents(connection, run_id, user_id, code)
                digest = sa.select(runs.c.digest).where(runs.c.id == run_id)
                if connection.execute(digest).scalar() is not None:
                    write_digest(connection, run_id)
            _questions(connection, set(ids), user_id)
        for run_id in whole:
            (self.settings.runs / run_id / RECORD).unlink(missing_ok=True)
        self.rewrite((samples, documents, schema.requests))
        return whole


def _samples(connection: sa.Connection, run_id: str, code: int) -> None:
    rows = connection.execute(
        sa.select(samples.c.id, samples.c["keys"], samples.c["values"]).where(
            samples.c.run_id == run_id
        )
    ).all()
    for number, keys, values in rows:
        if code in keys:
            kept = [(key, value) for key, value in zip(keys, values, strict=True) if key != code]
            connection.execute(
                sa.update(samples)
                .where(samples.c.id == number)
                .values(keys=[key for key, _ in kept], values=[value for _, value in kept])
            )


def _documents(connection: sa.Connection, run_id: str, user_id: str, code: int) -> None:
    rows = connection.execute(
        sa.select(documents.c.id, documents.c.name, documents.c.body).where(
            documents.c.run_id == run_id
        )
    ).all()
    for number, name, body in rows:
        after = without_person(name, body, user_id, code)
        if after != body:
            connection.execute(
                sa.update(documents).where(documents.c.id == number).values(body=after)
            )


def without_person(name: str, body: Json, user_id: str, code: int) -> Json:
    """Return a document without one person.

    Args:
        name: of the document; slices and facets hold codes, all others ids.
        body: the document.
        user_id: the person, as in the data set.
        code: their number in it.

    >>> without_person("slices", {"new users": [3, 7]}, "u7", 7)
    {'new users': [3]}
    >>> without_person("lists", {"users": {"u7": ["a"], "u3": ["b"]}}, "u7", 7)
    {'users': {'u3': ['b']}}
    """
    if name.startswith(SLICES):
        return {part: [user for user in users if user != code] for part, users in body.items()}
    if name.startswith(FACETS):
        return _without_place(body, code)
    return _without_id(body, user_id)


def _without_place(body: Mapping[str, Json], code: int) -> Json:
    """Facets without one place: each facet has one group number a user, in the same order."""
    kept = [place for place, user in enumerate(body["users"]) if user != code]
    facets = {
        name: facet | {"groups": [facet["groups"][place] for place in kept]}
        for name, facet in body["facets"].items()
    }
    return {"users": [body["users"][place] for place in kept], "facets": facets}


def _without_id(body: Json, user_id: str) -> Json:
    """Any JSON without what stands under a person's id, or names them as its user."""
    if isinstance(body, dict):
        return {
            name: _without_id(part, user_id)
            for name, part in body.items()
            if name != user_id and not _is_of(part, user_id)
        }
    if isinstance(body, list):
        return [_without_id(part, user_id) for part in body if not _is_of(part, user_id)]
    return body


def _is_of(part: Json, user_id: str) -> bool:
    return isinstance(part, dict) and user_id in (part.get("user"), part.get("user_id"))


def _questions(connection: sa.Connection, run_ids: set[str], user_id: str) -> None:
    """Remove what was asked about the person, with the answers."""
    requests = schema.requests
    rows = connection.execute(sa.select(requests.c.id, requests.c.payload)).all()
    gone = [
        row.id
        for row in rows
        if row.payload.get("run") in run_ids
        and user_id in map(str, (row.payload.get("user"), row.payload.get("user_id")))
    ]
    for number in gone:
        connection.execute(sa.delete(requests).where(requests.c.id == number))
