"""Structured logs on standard error: JSON lines, or readable lines on a terminal. They never contain personal data."""

import contextlib
import logging
import sys
from typing import Any

from runtime.colours import wants_colour

# structlog imports rich to colour tracebacks, which our logs never contain. The import takes a tenth of the start-up.
_rich = sys.modules.get("rich")
sys.modules["rich"] = None  # type: ignore[assignment]
import structlog  # noqa: E402

if _rich is None:
    del sys.modules["rich"]
else:
    sys.modules["rich"] = _rich


class _LossyStderr:
    """Standard error that drops output once it is closed: an unread log must not fail a request."""

    def write(self, text: str) -> int:
        """Write text, and ignore errors."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, and ignore errors."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def configure(service: str) -> None:
    """Configure logging for a process; every line contains the service name."""
    stream: Any = _LossyStderr()
    logging.basicConfig(stream=stream, level=logging.WARNING, format="%(message)s")
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            _add_service(service),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if terminal else [structlog.processors.format_exc_info]),
            structlog.dev.ConsoleRenderer(colors=wants_colour(sys.stderr))
            if terminal
            else structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(stream),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )


def _add_service(service: str) -> Any:
    """Return a processor that adds the service name to every line, in all threads."""

    def add(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
        event["service"] = service
        return event

    return add


def get_logger() -> Any:
    """Return a logger: `info`, `warning` and `error` take an event and named values."""
    return structlog.get_logger()
