"""Files that settings may name and that can be used."""

from pathlib import Path

import pytest

from testing.servers.certificates import Certificates


@pytest.fixture(scope="module")
def tables_model(small_models: Path) -> Path:
    """Return the models folder of a small model that is copied quickly."""
    return small_models / "tables"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return certificates that can be used."""
    return Certificates(tmp_path_factory.mktemp("tls") / "certificates")
