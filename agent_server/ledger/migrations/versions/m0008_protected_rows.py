"""Commitments to the rows of cases, case events and outcomes, in a chain of their own."""

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from agent_server.ledger.migrations.frozen import GENESIS, SALT_BYTES, link_hash, row_commitment
from generated.vouch.v1.ledger_entry_pb2 import RowChanges

revision, down_revision = "0008", "0007"
_CHUNK = 500
_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "cases": {
        "reviewer": "", "verdict": 0, "note": "", "expected_loss": 0.0, "urgency": 0, "due_at": 0, "claim_token": 0,
        "abuse_type": "", "reason_code": "", "round": 1, "review_of": "", "held": False, "golden": 0,
    },
    "case_events": {},
    "outcomes": {},
}  # fmt: skip
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "cases": ("case_id",), "case_events": ("case_id", "number"), "outcomes": ("outcome_id",)
}  # fmt: skip


def upgrade() -> None:
    """Add the columns, make the table, and commit to every row that is there."""
    nothing = sa.text("''" if op.get_bind().dialect.name == "postgresql" else "x''")
    for name in _KEYS:
        op.add_column(name, sa.Column("salt", sa.LargeBinary, nullable=False, server_default=nothing))
    op.add_column("head", sa.Column("rows_number", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("head", sa.Column("rows_hash", sa.LargeBinary, nullable=False, server_default=nothing))
    changes = op.create_table(
        "row_changes",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    connection, known = op.get_bind(), sa.MetaData()
    known.reflect(connection, only=[*_KEYS, "head"])
    number, end = 0, GENESIS
    for name, keys in _KEYS.items():
        table = known.tables[name]
        for rows in _chunks(connection, table, keys):
            salts = [os.urandom(SALT_BYTES) for _ in rows]
            same = sa.and_(*(table.c[key] == sa.bindparam(f"the_{key}") for key in keys))
            named = [{f"the_{key}": row[key] for key in keys} for row in rows]
            salted = [one | {"new_salt": salt} for one, salt in zip(named, salts, strict=True)]
            connection.execute(table.update().where(same).values(salt=sa.bindparam("new_salt")), salted)
            added = [_commitment(name, salt, row) for row, salt in zip(rows, salts, strict=True)]
            content, number = RowChanges(added=sorted(added)).SerializeToString(), number + 1
            end = link_hash(end, number, content)
            op.bulk_insert(changes, [{"number": number, "content": content, "hash": end}])
    connection.execute(known.tables["head"].update().values(rows_number=number, rows_hash=end))


def _chunks(connection: Any, table: sa.Table, keys: tuple[str, ...]) -> Iterator[Any]:
    key = sa.tuple_(*(table.c[name] for name in keys))
    ordered, last = sa.select(table).order_by(*(table.c[name] for name in keys)).limit(_CHUNK), None
    while rows := connection.execute(ordered if last is None else ordered.where(key > last)).mappings().all():
        yield rows
        last = sa.tuple_(*(sa.literal(rows[-1][name]) for name in keys))


def _commitment(table: str, salt: bytes, row: Any) -> bytes:
    defaults = _DEFAULTS[table]
    written = {name: _written(value) for name, value in row.items() if name != "salt"}
    values = {name: value for name, value in written.items() if value is not None and value != defaults.get(name)}
    return row_commitment(table, salt, values)


def _written(value: Any) -> Any:
    return value + 0.0 if isinstance(value, float) else value  # a zero without a sign
