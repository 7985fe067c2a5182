"""Answers by prompt, and every try with what it may have cost, in one SQLite file of the home.

A try is written before it is sent, an answer before it is used. After a process was killed, what it
had been answered is there, and a try that is still open shows a prompt that may have been paid for.
The prompt itself is not kept, only its hash: it holds what a person did.
"""

from __future__ import annotations

import json
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock

State = Literal["open", "answered", "refused", "unsure"]
"""A try: under way; answered; not paid for; perhaps paid for, since no answer came back."""
_TABLES = """
CREATE TABLE IF NOT EXISTS answers (
    prompt TEXT PRIMARY KEY, text TEXT NOT NULL, top TEXT NOT NULL,
    tokens_in INTEGER, tokens_out INTEGER, seconds REAL NOT NULL);
CREATE TABLE IF NOT EXISTS tries (
    id INTEGER PRIMARY KEY, prompt TEXT NOT NULL, run TEXT NOT NULL, state TEXT NOT NULL,
    tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS tries_of_run ON tries (run, prompt);
CREATE TABLE IF NOT EXISTS manners (endpoint TEXT PRIMARY KEY, manner TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Kept:
    """One answer as the endpoint gave it."""

    text: str
    """What the model wrote; empty when it could not be read."""
    top: tuple[tuple[str, float], ...]
    """Likeliest first tokens with their log-probabilities; empty where the endpoint gives none."""
    tokens_in: int | None
    """Tokens of the prompt by the endpoint's own count; None where it gave none."""
    tokens_out: int | None
    seconds: float
    """From sending to the end of the answer, in the try that was answered."""


@dataclass(frozen=True)
class Spent:
    """Tokens that a run has been charged for, or may have been."""

    tokens_in: int
    tokens_out: int
    again: int
    """Tries that had to be repeated."""


class KeptAnswers:
    """The file of a home.

    Args:
        folder: of the file; it is made when it is missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / "answers.lock")
        self._base = sqlite3.connect(folder / "answers.db", isolation_level=None, timeout=60)
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=FULL")
        self._base.executescript(_TABLES)
        weakref.finalize(self, self._base.close)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the file: two runs that ask the same prompt ask it once, one after the other.

        The kernel frees it when the process that holds it is killed.
        """
        with self._lock:
            yield

    def answer(self, prompt: str) -> Kept | None:
        """The answer to the prompt of this hash, from whichever run."""
        row = self._base.execute(
            "SELECT text, top, tokens_in, tokens_out, seconds FROM answers WHERE prompt = ?",
            (prompt,),
        ).fetchone()
        if row is None:
            return None
        text, top, tokens_in, tokens_out, seconds = row
        pairs = tuple((str(token), float(value)) for token, value in json.loads(top))
        return Kept(text, pairs, tokens_in, tokens_out, seconds)

    def was_left_open(self, prompt: str, run: str) -> bool:
        """Whether an attempt of the run was killed while it waited for this answer."""
        return bool(
            self._base.execute(
                "SELECT 1 FROM tries WHERE run = ? AND prompt = ? AND state = 'open'",
                (run, prompt),
            ).fetchone()
        )

    def begin(self, prompt: str, run: str, tokens_in: int, tokens_out: int) -> int:
        """Write a try before it is sent.

        Args:
            prompt: its hash.
            run: hash of the run's spec.
            tokens_in: tokens that it is counted with until the endpoint has counted.
            tokens_out: as `tokens_in`, of the answer.

        Returns:
            The number of the try.
        """
        cursor = self._base.execute(
            "INSERT INTO tries (prompt, run, state, tokens_in, tokens_out) "
            "VALUES (?, ?, 'open', ?, ?)",
            (prompt, run, tokens_in, tokens_out),
        )
        return int(cursor.lastrowid or 0)

    def close(self, number: int, state: State) -> None:
        """Say how a try without an answer ended."""
        self._base.execute("UPDATE tries SET state = ? WHERE id = ?", (state, number))

    def keep(self, number: int, prompt: str, kept: Kept) -> None:
        """Write an answer and what the endpoint counted, together."""
        self._base.execute("BEGIN IMMEDIATE")
        try:
            self._base.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)",
                (
                    prompt,
                    kept.text,
                    json.dumps(kept.top),
                    kept.tokens_in,
                    kept.tokens_out,
                    kept.seconds,
                ),
            )
            self._base.execute(
                "UPDATE tries SET state = 'answered', tokens_in = coalesce(?, tokens_in), "
                "tokens_out = coalesce(?, tokens_out) WHERE id = ?",
                (kept.tokens_in, kept.tokens_out, number),
            )
            self._base.execute("COMMIT")
        except BaseException:
            self._base.execute("ROLLBACK")
            raise

    def spent(self, run: str) -> Spent:
        """What a run has spent, over all its attempts; open and unsure tries count as paid."""
        paid = self._base.execute(
            "SELECT coalesce(sum(tokens_in), 0), coalesce(sum(tokens_out), 0) FROM tries "
            "WHERE run = ? AND state != 'refused'",
            (run,),
        ).fetchone()
        again = self._base.execute(
            "SELECT count(*) FROM tries WHERE run = ? AND state IN ('refused', 'unsure')", (run,)
        ).fetchone()
        return Spent(int(paid[0]), int(paid[1]), int(again[0]))

    def manner(self, endpoint: str) -> str | None:
        """How this endpoint has been found to answer; None before its first answer."""
        row = self._base.execute(
            "SELECT manner FROM manners WHERE endpoint = ?", (endpoint,)
        ).fetchone()
        return None if row is None else str(row[0])

    def settle_manner(self, endpoint: str, manner: str) -> None:
        """Keep how this endpoint answers, so that a run that goes on asks the same prompts."""
        self._base.execute("INSERT OR IGNORE INTO manners VALUES (?, ?)", (endpoint, manner))
