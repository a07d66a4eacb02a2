"""Structured logs on standard error: JSON lines, or readable ones on a terminal. They never hold a personal field."""

import logging
import sys

import structlog


def configure(service: str) -> None:
    """Set up logging for a process; every line carries the service's name."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if terminal else [structlog.processors.format_exc_info]),
            structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
