"""Reviewers race for cases on two agents, one of which is killed."""

from pathlib import Path

from chaos.casework import race_for_cases


async def test_each_case_is_resolved_once(tmp_path: Path) -> None:
    """Each case is resolved once, none by a forged token or an expired claim, and all events are in order."""
    result = await race_for_cases(tmp_path, 40)
    bad = ("unresolved", "resolved_twice", "forged_accepted", "late_accepted", "other_verdict", "disorder")
    assert {name: getattr(result, name) for name in bad} == dict.fromkeys(bad, 0)
    assert result.resolved <= 40
