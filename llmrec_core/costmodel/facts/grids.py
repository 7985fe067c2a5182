"""How many grams of CO2e a kilowatt-hour emits, by country, US state or cloud region.

`grids.csv` holds the intensities, each with its year and source. `cloud_regions.csv` says in which
country or state a provider's region stands; such a region has the intensity of that place. A name
that fits two places is refused with both, since Georgia the state emits 2.7 times as much as
Georgia the country.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from llmrec_core.costmodel.facts import bounds, csv_facts
from llmrec_core.errors import UsageError
from llmrec_core.language import t


@dataclass(frozen=True)
class Place:
    """A grid with its intensity."""

    key: str
    """A name nobody else has: `world`, `SWE`, `US-GA` or `aws us-east-1`."""
    scope: str
    """`world`, `country`, `us_state`, `cloud_region` or `stated`."""
    name: str
    """The country, the state or the city of a region."""
    names: tuple[str, ...]
    """What the place may be called, in lower case."""
    g_per_kwh: float
    year: str
    """Year of the figure; empty where the source does not state it."""
    source: str
    grid: str = ""
    """Key of the country or state whose figure a cloud region takes; empty where it has its own."""

    @property
    def title(self) -> str:
        """As a person reads it: `Sweden`, `Georgia (US state)`, `gcp us-east1 (Moncks Corner)`."""
        if self.scope == "us_state":
            return t("{name} (US state)", name=self.name)
        if self.grid:
            return t(
                "{region} ({city}): grid of {place}",
                region=self.key,
                city=self.name,
                place=places()[self.grid].title,
            )
        return f"{self.key} ({self.name})" if self.scope == "cloud_region" else self.name


@lru_cache(maxsize=1)
def places() -> dict[str, Place]:
    """Every place of the tables by its key: the world first, then countries, states and regions."""
    rows = csv_facts.rows("grids")
    listed = [
        *(_place(row) for row in rows if row["scope"] == "world"),
        *sorted((_place(row) for row in rows if row["scope"] == "country"), key=_by_name),
        *sorted((_place(row) for row in rows if row["scope"] == "us_state"), key=_by_name),
        *(_place(row) for row in rows if row["scope"] == "cloud_region"),
    ]
    by_key = {place.key: place for place in listed}
    for row in csv_facts.rows("cloud_regions"):
        place = _region(row, by_key[row["grid"]])
        by_key[place.key] = place
    return by_key


def _by_name(place: Place) -> str:
    return place.name


def _place(row: dict[str, str]) -> Place:
    """A row of `grids.csv`, whose columns mean other things in each scope."""
    scope, region, country = row["scope"], row["region"], row["country"]
    names: tuple[str, ...]
    if scope == "us_state":
        key, name = f"US-{row['place']}", region.title()
        names = (region, f"{region} (us state)", f"{region}, usa", f"{region}, united states")
    elif scope == "cloud_region":
        key, name, names = f"{row['provider']} {region}", row["place"], (region.lower(),)
    else:
        key = "world" if scope == "world" else region
        name, names = country, (country.lower(), f"{country.lower()} (country)")
    grams = float(row["g_co2e_per_kwh"])
    return Place(key, scope, name, names, grams, row["year"], row["source"])


def _region(row: dict[str, str], grid: Place) -> Place:
    """A row of `cloud_regions.csv`: a region with the intensity of the grid it stands on."""
    return Place(
        key=f"{row['provider']} {row['region']}",
        scope="cloud_region",
        name=row["city"],
        names=(row["region"].lower(), row["name"].lower()),
        g_per_kwh=grid.g_per_kwh,
        year=grid.year,
        source=f"{grid.source}; {row['source']}",
        grid=grid.key,
    )


def stated(g_per_kwh: float, name: str, year: str = "", source: str = "") -> Place:
    """A grid whose intensity somebody states: typed in, or kept with a run.

    Raises:
        UsageError: for grams outside their range.
    """
    bounds.check(g_per_kwh=g_per_kwh)
    return Place(name, "stated", name, (), g_per_kwh, year, source)


def find(text: str) -> Place:
    """The one place that `text` names.

    Args:
        text: a country or its three letters, a US state or `US-GA`, a provider's region, `world`.

    Raises:
        UsageError: when it names no place, with near names, or several, with all of them.
    """
    wanted = " ".join(text.lower().split())
    listed = places()
    exact = next((place for key, place in listed.items() if key.lower() == wanted), None)
    if exact is not None:
        return exact
    fitting = [place for place in listed.values() if wanted in place.names]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UsageError(
            t(
                "{text!r} names {count} places: {choices}; choose one by its short name",
                text=text,
                count=len(fitting),
                choices=", ".join(
                    t(
                        "{key} is {title} at {grams:g} g CO2e per kWh",
                        key=place.key,
                        title=_apart(place),
                        grams=place.g_per_kwh,
                    )
                    for place in fitting
                ),
            )
        )
    raise UsageError(
        t(
            "unknown place {text!r}; near names: {near}. Countries, US states and regions of "
            "{providers} are known",
            text=text,
            near=csv_facts.nearest(text, _all_names(listed.values())),
            providers=", ".join(providers()),
        )
    )


def _apart(place: Place) -> str:
    """The title with its kind where the name alone would fit another place."""
    return t("{title} (country)", title=place.title) if place.scope == "country" else place.title


def _all_names(listed: Iterable[Place]) -> list[str]:
    return [name for place in listed for name in (place.key, *place.names)]


def providers() -> list[str]:
    """Cloud providers whose regions are known."""
    return sorted(
        {key.split()[0] for key, place in places().items() if place.scope == "cloud_region"}
    )
