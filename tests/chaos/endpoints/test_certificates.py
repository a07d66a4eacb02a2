"""TLS at the edge and behind it while certificates change."""

from pathlib import Path

import pytest

from chaos.endpoints.certificates import renew_certificates


def logs(folder: Path) -> str:
    """Return the logs of all servers."""
    return "".join(log.read_text() for log in folder.glob("*.log"))


@pytest.mark.envoy
@pytest.mark.parametrize("links", [False, True])
async def test_new_certificates_fail_no_call(links: bool, models: Path, tmp_path: Path) -> None:
    """Edge, agent and scorer load new certificates, and no wrong key, while callers connect: every call is answered."""
    renewed = await renew_certificates(tmp_path, models, renewals=2, rate=20, links=links, between=10)
    assert (dict(renewed.outcome.failures), renewed.outcome.lost) == ({}, 0), renewed.outcome.errors[:3]
    assert renewed.outcome.sent >= 30 and renewed.renewals == 2
    lines = logs(tmp_path)
    assert lines.count('"certificate replaced"') >= 4 and "does not match certificate" in lines
    assert "PRIVATE KEY" not in lines
