"""The ledger of decisions, written to disk before they are answered. SQLite by default, PostgreSQL by URL."""

from agent_server.database.engine import LedgerError
from agent_server.ledger.migrate import open_engine, reading
from agent_server.ledger.writer import Ledger

__all__ = ["Ledger", "LedgerError", "open_engine", "reading"]
