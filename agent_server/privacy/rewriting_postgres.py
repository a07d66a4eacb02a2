"""Copies a table and swaps names in PostgreSQL.

A transaction that read the ledger before the last row was copied would not see that row in the new table. So the swap
waits for such transactions, and locks the table only while it renames it.
"""

import time
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

from agent_server.privacy.rewriting import WorkBlocked, new_table, trigger_actions

LOCK_MILLISECONDS: Final = 150
"""How long others may wait for a lock that this work waits for."""
_TRIES, _PAUSE_SECONDS = 10, 0.015
_INDEXES = """
SELECT c.relname AS name, i.indisprimary, i.indisunique, pg_get_indexdef(i.indexrelid) AS definition
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = to_regclass(:table)
"""
_GRANTS = """
SELECT a.privilege_type AS privilege,
    CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS role
FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = to_regclass(:table) AND a.grantee <> c.relowner
"""
_TRIGGERS = """
SELECT pg_get_triggerdef(oid) AS definition FROM pg_trigger
WHERE tgrelid = to_regclass(:table) AND NOT tgisinternal AND tgname <> :own
"""
_OLDER = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
AND backend_type <> 'autovacuum worker'
AND NOT (wait_event_type IS NOT DISTINCT FROM 'Lock' AND wait_event IN ('transactionid', 'tuple', 'advisory'))
AND backend_xmin IS NOT NULL AND age(backend_xmin) > age(CAST(CAST(:xid AS text) AS xid))
"""
"""Excludes transactions that wait for the locks of writers: their next statement takes a new snapshot."""
_READERS = "transactions that began before the erasure still read the database; they have to end"


class PostgresDialect:
    """See Dialect."""

    def begin_copy(self, connection: Connection, table: sa.Table) -> None:
        """See Dialect."""
        new, old = new_table(table).name, table.name
        _lock(connection, old, "SHARE ROW EXCLUSIVE")
        connection.exec_driver_sql(f'CREATE TABLE "{new}" (LIKE "{old}" INCLUDING ALL)')
        for privilege, role in connection.execute(sa.text(_GRANTS), {"table": old}).all():
            connection.exec_driver_sql(f'GRANT {privilege} ON "{new}" TO {role}')
        insert, delete = trigger_actions(table, "INSERT")
        connection.exec_driver_sql(
            f'CREATE FUNCTION "{new}"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN '
            f"IF TG_OP <> 'INSERT' THEN {delete} END IF; IF TG_OP <> 'DELETE' THEN {insert} END IF; "
            "RETURN NULL; END $$"
        )
        connection.exec_driver_sql(
            f'CREATE TRIGGER "{new}" AFTER INSERT OR UPDATE OR DELETE ON "{old}" '
            f'FOR EACH ROW EXECUTE FUNCTION "{new}"()'
        )

    def insert_slice(self, target: sa.Table, rows: sa.Select[Any]) -> sa.Executable:
        """See Dialect."""
        insert = postgresql.insert(target).from_select(
            [column.name for column in target.columns], rows, include_defaults=False
        )
        return insert.on_conflict_do_nothing()

    def analyse(self, connection: Connection, table: sa.Table) -> None:
        """See Dialect."""
        with connection.begin():
            connection.exec_driver_sql(f'ANALYZE "{table.name}"')

    def swap(self, connection: Connection, table: sa.Table) -> None:
        """See Dialect."""
        new, old = new_table(table).name, table.name
        wait_for_snapshots(connection)
        _lock(connection, old, "ACCESS EXCLUSIVE")
        names = {_definition(row): row.name for row in connection.execute(sa.text(_INDEXES), {"table": old})}
        triggers = connection.execute(sa.text(_TRIGGERS), {"table": old, "own": new}).scalars().all()
        try:
            connection.exec_driver_sql(f'DROP TABLE "{old}"')
        except sa.exc.DBAPIError as error:
            if _state(error) == "2BP01":
                raise WorkBlocked(
                    f"objects of yours, such as views, depend on the table {old}; drop them, and create them again later"
                ) from error
            raise
        connection.exec_driver_sql(f'ALTER TABLE "{new}" RENAME TO "{old}"')
        for row in connection.execute(sa.text(_INDEXES), {"table": old}).all():
            connection.exec_driver_sql(f'ALTER INDEX "{row.name}" RENAME TO "{names[_definition(row)]}"')
        connection.exec_driver_sql(f'DROP FUNCTION "{new}"()')
        for definition in triggers:
            connection.exec_driver_sql(definition.replace("%", "%%"))

    def leftovers(self, connection: Connection, table: sa.Table) -> list[sa.Table]:
        """See Dialect. None: PostgreSQL deletes the files of a dropped table."""
        new = new_table(table).name
        if connection.execute(sa.text("SELECT to_regclass(:name)"), {"name": new}).scalar() is not None:
            _lock(connection, table.name, "ACCESS EXCLUSIVE")
            connection.exec_driver_sql(f'DROP TRIGGER IF EXISTS "{new}" ON "{table.name}"')
            connection.exec_driver_sql(f'DROP TABLE "{new}"')
        connection.exec_driver_sql(f'DROP FUNCTION IF EXISTS "{new}"()')
        return []


def wait_for_snapshots(connection: Connection) -> None:
    """Wait a moment for transactions that do not see all that is committed now. Raises WorkBlocked."""
    xid = connection.execute(sa.text("SELECT pg_current_xact_id()::xid::text")).scalar_one()
    for _ in range(_TRIES):
        if not connection.execute(sa.text(_OLDER), {"xid": xid}).scalar_one():
            return
        time.sleep(_PAUSE_SECONDS)
    raise WorkBlocked(_READERS)


def _lock(connection: Connection, table: str, mode: str) -> None:
    """Lock a table within a transaction. Others that need it wait as long as this waits. Raises WorkBlocked."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}")
    try:
        connection.exec_driver_sql(f'LOCK TABLE "{table}" IN {mode} MODE')
    except sa.exc.DBAPIError as error:
        if _state(error) == "55P03":
            raise WorkBlocked(_READERS) from error
        raise


def _definition(row: Any) -> tuple[bool, bool, str]:
    """Return all of an index but its name."""
    return row.indisprimary, row.indisunique, row.definition.partition(" USING ")[2]


def _state(error: sa.exc.DBAPIError) -> str:
    """Return PostgreSQL's error code, of five characters."""
    return str(getattr(error.orig, "sqlstate", "") or "")
