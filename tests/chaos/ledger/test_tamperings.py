"""Ledgers that were tampered with."""

from pathlib import Path

from chaos.ledger.tamperings import tamper


async def test_no_tampering_is_missed(tmp_path: Path) -> None:
    """Sixty random tamperings are found and named; untouched ledgers, with and without erasures, verify."""
    tampered = await tamper(tmp_path, times=60, ledgers=4)
    assert (tampered.missed, tampered.misnamed, tampered.suspected) == (0, 0, 0)
