"""The completed fields of a ledger's decisions, compared with a replay of the ledger."""

from typing import Any

from agent_server.decisions.completion import history_values
from agent_server.history_store.exporting import export_rows
from agent_server.ledger import open_engine
from agent_server.ledger.queries import DECIDED
from agent_server.ledger.schema import ENTRIES, PAYLOADS
from generated.vouch.v1.ledger_entry_pb2 import DecisionPayload
from history.ledger_order import replay_in_ledger_order, step_of
from history.replay import Value


def compare_with_replay(url: str) -> list[tuple[dict[str, Value], dict[str, Value]]]:
    """Return, for each decision that read history, the completed fields and those of a replay in the ledger's order."""
    engine = open_engine(url)
    with engine.connect() as connection:
        rows: list[dict[str, Any]] = [row for piece in export_rows(connection) for row in piece]
        chosen = DECIDED.where(PAYLOADS.c.memory_number.is_not(None)).order_by(ENTRIES.c.sequence)
        decided = [DecisionPayload.FromString(row.payload) for row in connection.execute(chosen)]
    engine.dispose()
    found = zip(rows, replay_in_ledger_order([step_of(row) for row in rows]), strict=True)
    known = [(row, values) for row, values in found if row["denied"] is not None]
    return [
        (history_values(payload.completed_fields), values)
        for (row, values), payload in zip(known, decided, strict=True)
        if row["memory_read"] is not None
    ]
