"""Power failures of a ledger."""

from pathlib import Path

from chaos.ledger.power_loss import cut_power


async def test_power_loss_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """After any power failure the ledger is valid, and has every decision that was acknowledged before."""
    result = await cut_power(tmp_path, decisions=150, callers=6, cuts=10)
    assert (result.missing, result.broken) == (0, [])
    assert result.cuts >= 5 and result.torn and result.restarts
