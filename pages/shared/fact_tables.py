"""Tables of shipped facts: prices, grids and data sheets, with dates and sources.

Facts keep the units of the files they stand in (`assets/costmodel`), named in their heads; exports
have the names of those files.
"""

from __future__ import annotations

from collections.abc import Iterable

from llmrec_core.costmodel.facts import csv_facts, grids
from llmrec_core.costmodel.facts.devices import Device
from llmrec_core.language import marked, t
from llmrec_core.reading import number_format
from llmrec_core.reading.table import Cell, Column, Table, make
from llmrec_core.types import Measurement

Line = dict[str, Cell | Measurement]

PRICES = (
    Column(marked("Device"), "device"),
    Column(marked("Provider"), "provider"),
    Column(marked("Instance"), "instance_type"),
    Column(marked("Devices in it"), "devices", number_format.whole),
    Column(marked("On demand, $ per hour"), "usd_per_hour_on_demand", number_format.dollars),
    Column(marked("Spot, $ per hour"), "usd_per_hour_spot", number_format.dollars),
    Column(marked("Region"), "region"),
    Column(marked("Date"), "date"),
    Column(marked("Source"), "source"),
)
GRIDS = (
    Column(marked("Short name"), "key"),
    Column(marked("Place"), "place"),
    Column(marked("g CO2e per kWh"), "g_co2e_per_kwh", number_format.significant),
    Column(marked("Year"), "year", number_format.year),
    Column(marked("Source"), "source"),
)
SHEETS = (
    Column(marked("Device"), "name"),
    Column(marked("Kind"), "kind"),
    Column(marked("Architecture"), "architecture"),
    Column(marked("Memory, GB"), "memory_gb", number_format.significant),
    Column(marked("Bandwidth, GB/s"), "bandwidth_gb_s", number_format.significant),
    Column(marked("fp32, TFLOP/s"), "fp32_tflops", number_format.significant),
    Column(marked("fp16, TFLOP/s"), "fp16_tflops", number_format.significant),
    Column(marked("bf16, TFLOP/s"), "bf16_tflops", number_format.significant),
    Column(marked("int8, TOP/s"), "int8_tops", number_format.significant),
    Column(marked("Power, W"), "tdp_w", number_format.significant),
    Column(marked("Verified"), "verified"),
    Column(marked("Source"), "source"),
)


def price_list() -> Table:
    """The shipped prices with dates and sources, as they stand in `assets/costmodel/rents.csv`."""
    return make(
        PRICES,
        [
            {
                column.title: row[column.name]
                if column.show is None
                else csv_facts.number(row[column.name])
                for column in PRICES
            }
            for row in csv_facts.rows("rents")
        ],
    )


def grid_list() -> Table:
    """Grid intensities with year and source."""
    lines: list[Line] = []
    for place in grids.places().values():
        year = int(place.year) if place.year.isdigit() else None
        cells = (place.key, place.title, place.g_per_kwh, year, place.source)
        lines.append({column.title: cell for column, cell in zip(GRIDS, cells, strict=True)})
    return make(GRIDS, lines)


def catalogue(listed: Iterable[Device]) -> Table:
    """Data sheets, as they stand in `assets/costmodel/hardware.csv`."""
    lines: list[Line] = []
    for device in listed:
        cells = (
            device.name,
            t("processor") if device.kind == "cpu" else t("GPU"),
            device.architecture,
            device.memory_gb,
            device.bandwidth_gb_s,
            device.fp32_tflops,
            device.fp16_tflops,
            device.bf16_tflops,
            device.int8_tops,
            device.tdp_w,
            t("yes") if device.verified else t("no"),
            device.source,
        )
        lines.append({column.title: cell for column, cell in zip(SHEETS, cells, strict=True)})
    return make(SHEETS, lines)
