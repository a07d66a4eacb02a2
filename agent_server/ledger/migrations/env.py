"""Alembic runs this: on the connection and within the transaction that `migrate` gives it."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=False)
context.run_migrations()
