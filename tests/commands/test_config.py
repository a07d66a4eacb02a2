"""`vouch config`: effective settings with their source, and no secret."""

import json

import pytest

from stack.config import HIDDEN, main, settings_classes


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    """Return the rows of the JSON output by variable."""
    return {row["variable"]: row for row in json.loads(capsys.readouterr().out)}


def test_every_setting_is_shown_with_its_source(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All settings of all services are listed; the source tells the environment from defaults."""
    monkeypatch.setenv("VOUCH_AGENT_CLAIM_SECONDS", "30")
    assert main(["--json"]) == 0
    rows = shown(capsys)
    assert {variable for kind in settings_classes().values() for variable in kind.variables().values()} == set(rows)
    assert (rows["VOUCH_AGENT_CLAIM_SECONDS"]["value"], rows["VOUCH_AGENT_CLAIM_SECONDS"]["source"]) == (
        "30.0",
        "environment",
    )
    assert rows["VOUCH_ML_WORKERS"]["source"] == "default"
    assert main(["agent", "--changed"]) == 0
    assert capsys.readouterr().out.split()[:4] == ["agent", "VOUCH_AGENT_CLAIM_SECONDS", "environment", "30.0"]


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A key is shown as set, in no form of the output with its value."""
    secret = "k-" + 30 * "7"
    for variable in ("VOUCH_HTTP_API_KEY", "VOUCH_CLIENT_API_KEY", "VOUCH_AGENT_SCORER_API_KEY"):
        monkeypatch.setenv(variable, secret)
    for arguments in ([], ["--json"]):
        main(arguments)
        said = capsys.readouterr()
        assert secret not in said.out + said.err
    main(["bridge", "--json"])
    assert shown(capsys)["VOUCH_HTTP_API_KEY"]["value"] == HIDDEN


def test_an_invalid_setting_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An invalid or unknown variable is named with its service; the exit code is 2, and the rest is still shown."""
    monkeypatch.setenv("VOUCH_ML_WORKERS", "many")
    assert main([]) == 2
    said = capsys.readouterr()
    assert "scorer: VOUCH_ML_WORKERS" in said.err and "VOUCH_AGENT_LISTEN" in said.out
