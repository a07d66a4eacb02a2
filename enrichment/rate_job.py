"""Job of servers that reads exchange rates again when their file changes."""

from typing import Final

from enrichment.money import Money
from enrichment.rate_files import RatesError
from runtime.jobs import in_maintenance_thread
from runtime.telemetry.logging import get_logger

REFRESH_SECONDS: Final = 2.0
"""How often servers look whether the file changed."""
_log = get_logger()


async def refresh_rates(money: Money) -> None:
    """Read the rates again if their file changed. If it cannot be used, the rates that were read before stay."""
    try:
        if await in_maintenance_thread(money.refresh):
            _log.info("exchange rates read")
    except RatesError as error:
        _log.error("exchange rates refused", cause=str(error))
