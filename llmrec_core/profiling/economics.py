"""From requests per second to dollars and grams of CO2e. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from llmrec_core.files import read_toml
from llmrec_core.installation import ASSETS
from llmrec_core.language import t
from llmrec_core.profiling.device import Device

DEFAULTS = ASSETS / "economics.toml"


@dataclass(frozen=True)
class Economics:
    """Price, utilisation and grid of one machine, each with source and date."""

    usd_per_hour: float | None
    price_source: str
    price_date: str
    utilisation: float
    grid_g_per_kwh: float
    grid_source: str
    grid_date: str
    requests_per_month: float

    def usd_per_million(self, requests_per_s: float) -> float | None:
        """Dollars for a million requests: hourly price ÷ (requests an hour × utilisation) × 10⁶.

        None without a price.
        """
        if self.usd_per_hour is None:
            return None
        return self.usd_per_hour / (requests_per_s * 3600 * self.utilisation) * 1e6

    def gco2e_per_million(self, energy_per_request_j: float) -> float:
        """Grams of CO2e for the electricity of a million requests; idle power is not in it."""
        return energy_per_request_j / 3.6e6 * 1e6 * self.grid_g_per_kwh


def economics_of(device: Device) -> Economics:
    """The defaults of `assets/economics.toml` for this machine.

    A processor is priced by its threads. A GPU has no price until the reader types one.
    """
    table = read_toml(DEFAULTS)
    cpu, grid = table["cpu"], table["grid"]
    price = None if device.gpus else cpu["usd_per_vcpu_hour"] * device.threads
    source, date = cpu["price_source"], cpu["price_date"]
    if device.gpus:
        source, date = t("no price for {name}; type one in", name=device.gpus[0].name), ""
    return Economics(
        price,
        source,
        date,
        table["utilisation"],
        grid["g_co2e_per_kwh"],
        grid["source"],
        grid["date"],
        table["traffic"]["requests_per_month"],
    )
