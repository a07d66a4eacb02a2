"""The metrics port of all workers, while workers come and go."""

import threading
from pathlib import Path

import httpx
import pytest

from runtime.web.exposition import Exposition


@pytest.mark.parametrize("content", [b"", b"\x10", b"\x40\x00\x00\x00\x00\x00\x00\x00\xff"])
def test_an_incomplete_file_is_read_again(tmp_path: Path, content: bytes) -> None:
    """A worker's file that is empty or half written is read again once it is complete or gone: never a 500."""
    (tmp_path / "counter_1.db").write_bytes(content)
    shown = Exposition("127.0.0.1:0", str(tmp_path))
    try:
        whole = threading.Timer(0.2, (tmp_path / "counter_1.db").unlink)
        whole.start()
        answer = httpx.get(f"http://127.0.0.1:{shown.port}/metrics", timeout=60.0)
        whole.join()
    finally:
        shown.close()
    assert answer.status_code == 200
    assert "vouch_workers_alive 1.0" in answer.text
