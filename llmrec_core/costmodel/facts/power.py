"""Electric power of a device: what it draws idle, what it draws at work, and what a month takes.

Power rises in a straight line from idle to full load (Fan, Weber, Barroso, Power Provisioning for
a Warehouse-sized Computer, ISCA 2007, who find it within a few percent on whole servers). So a
month's energy depends on the hours a device stands by and the hours it works, whoever does the
work: a spare that shares the load adds its idle power and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmrec_core.costmodel.facts import bounds
from llmrec_core.language import marked

IDLE_SHARE = 0.33
"""Idle power over rated power (assumed; servers of 2007 to 2025 publish 0.1 to 0.6)."""
OVERHEAD = 1.3
"""Power of the building and of the host beside the device, over the device's (assumed)."""
CURVE = marked(
    "Power rises in a straight line from idle, a third of full power (assumed), to full load "
    "(Fan, Weber and Barroso, ISCA 2007); the building and the host add 30 % (assumed)."
)


@dataclass(frozen=True)
class Power:
    """Watts of one device, without building and host."""

    idle_w: float
    busy_w: float
    source: str
    """Where the figure comes from, as a person reads it."""

    def kwh(self, device_hours: float, busy_hours: float) -> float:
        """Energy of devices that are on for `device_hours` and work for `busy_hours` of them.

        Args:
            device_hours: hours that devices are on, added up.
            busy_hours: hours of them in which a device works.

        Returns:
            Kilowatt-hours with the overhead of building and host.
        """
        idle = self.idle_w * device_hours
        work = (self.busy_w - self.idle_w) * busy_hours
        return (idle + work) * OVERHEAD / 1000


def of_full_load(watts: float, source: str) -> Power:
    """The power of a device that draws `watts` at full load.

    Args:
        watts: at full load.
        source: where that figure is from.

    Raises:
        UsageError: for watts that are no positive number.
    """
    bounds.check(watts=watts)
    return Power(IDLE_SHARE * watts, watts, source)
