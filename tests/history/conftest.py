"""Fixtures of the history tests: the agent's ledgers."""

from tests.agent.conftest import ledger_url, patient

__all__ = ["ledger_url", "patient"]
