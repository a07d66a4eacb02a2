"""Structured logs on standard error: JSON lines, or readable ones on a terminal. They never hold a personal field."""

import contextlib
import logging
import sys
from typing import Any

# structlog looks for rich, to print tracebacks in colour: a tenth of a server's start for what our logs never hold.
_rich = sys.modules.get("rich")
sys.modules["rich"] = None  # type: ignore[assignment]
import structlog  # noqa: E402

if _rich is None:
    del sys.modules["rich"]
else:
    sys.modules["rich"] = _rich


class _Unbreakable:
    """Standard error, or nothing once nobody reads it: that a log has no reader is no reason to fail a request."""

    def write(self, text: str) -> int:
        """Write what can be written."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand it on."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def configure(service: str) -> None:
    """Set up logging for a process; every line carries the service's name."""
    stream: Any = _Unbreakable()
    logging.basicConfig(stream=stream, level=logging.WARNING, format="%(message)s")
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            _of(service),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if terminal else [structlog.processors.format_exc_info]),
            structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(stream),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )


def _of(service: str) -> Any:
    """Puts the service's name into every line, whichever thread writes it."""

    def add(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
        event["service"] = service
        return event

    return add


def get_logger() -> Any:
    """A logger: `info`, `warning` and `error` with an event and named values."""
    return structlog.get_logger()
