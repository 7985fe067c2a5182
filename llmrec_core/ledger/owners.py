"""Whose a data set is. One without an owner is everybody's; an owner's is private until shared."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from llmrec_core.errors import AccessError
from llmrec_core.language import t
from llmrec_core.ledger import schema
from llmrec_core.ledger.database import Store
from llmrec_core.ledger.schema import Now

data_owners = schema.data_owners


@dataclass(frozen=True)
class Owner:
    """Whose a data set is."""

    name: str
    """Of the data set, without a version."""
    owner: str
    shared: bool


def base_name(name: str) -> str:
    """Return the name of a data set without its version: `shop` of `shop@2`."""
    return name.partition("@")[0]


class Owners(Store):
    """The part of the ledger that knows whose a data set is."""

    def owners(self) -> dict[str, Owner]:
        """Return the owned data sets by name."""
        columns = (data_owners.c.name, data_owners.c.owner, data_owners.c.shared)
        with self.reading() as connection:
            rows = connection.execute(sa.select(*columns))
            return {row.name: Owner(row.name, row.owner, row.shared) for row in rows}

    def own(self, name: str, person: str) -> None:
        """Make a data set a person's own, private for now.

        Raises:
            AccessError: when it is somebody else's.
        """
        name = base_name(name)
        with self.writing() as connection:
            owner = connection.execute(
                sa.select(data_owners.c.owner).where(data_owners.c.name == name)
            ).scalar()
            if owner is None:
                connection.execute(
                    sa.insert(data_owners).values(
                        name=name, owner=person, shared=False, created=Now()
                    )
                )
            elif owner != person:
                raise AccessError(
                    t("a data set {name!r} exists already; choose another name", name=name)
                )

    def share(self, name: str, shared: bool) -> None:
        """Show a data set to everybody who logs in, or to its owner alone."""
        with self.writing() as connection:
            connection.execute(
                sa.update(data_owners)
                .where(data_owners.c.name == base_name(name))
                .values(shared=shared)
            )

    def disown(self, name: str) -> None:
        """Forget whose a data set was, after it was deleted."""
        with self.writing() as connection:
            connection.execute(sa.delete(data_owners).where(data_owners.c.name == base_name(name)))
