"""Tests of history use the agent's ledgers."""

from tests.agent.conftest import ledger_url, patient

__all__ = ["ledger_url", "patient"]
