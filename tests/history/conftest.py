"""Tests of history use the agent's ledgers."""

from tests.agent.conftest import ledger_url, patient, postgres

__all__ = ["ledger_url", "patient", "postgres"]
