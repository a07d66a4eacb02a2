"""Files that settings name, replaced while serving: a hostile one changes nothing, a good one is read."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from agent_server.audit.signing import make_key
from agent_server.policies.current import WatchedPolicy
from runtime.access.keys import ApiKeys, digest, new_key
from runtime.access.tls import ReloadingCertificates, ServerFiles
from runtime.files import UnusableFile, read_file
from testing.servers.certificates import Certificates
from tests.runtime.hostile_files import DEFAULTS, HOSTILE, ValidFiles, run_with_timeout

# -- while serving


class Keys:
    """A server's keys."""

    def __init__(self, folder: Path, valid_files: ValidFiles) -> None:
        self.path, self._key = folder / "keys", new_key()
        self.path.write_text(f"shop:{digest(self._key)}:shop\n")
        self._keys = ApiKeys(self.path)

    def look(self) -> None:
        """Check for changes, as a thread does twice a second."""
        self._keys.reload_if_changed()

    def works(self) -> bool:
        """Return whether the key is known."""
        return self._keys.holder_of(self._key) is not None


class ListOfPolicy:
    """A list of a policy."""

    def __init__(self, folder: Path, valid_files: ValidFiles) -> None:
        self.path = folder / "blocked.txt"
        self.path.write_text("u-1\n")
        (folder / "policy.yaml").write_text("lists: {blocked: {file: blocked.txt}}\n")
        self._policy = WatchedPolicy(folder / "policy.yaml", DEFAULTS)
        self._digest = self._policy.policy.digest

    def look(self) -> None:
        """Check for changes, as the agent does every second."""
        self._policy.reload()

    def works(self) -> bool:
        """Return whether the list is unchanged."""
        return self._policy.policy.digest == self._digest


class PolicyFile(ListOfPolicy):
    """The policy itself."""

    def __init__(self, folder: Path, valid_files: ValidFiles) -> None:
        super().__init__(folder, valid_files)
        self.path = folder / "policy.yaml"


class ServerCertificate:
    """The certificate of a server."""

    def __init__(self, folder: Path, valid_files: ValidFiles) -> None:
        certificate, key = valid_files.certificates.pair
        self.path = folder / "cert.pem"
        shutil.copy(certificate, self.path)
        self._replaced, self._taken = ReloadingCertificates(ServerFiles(self.path, key)), list[object]()

    def look(self) -> None:
        """Check for changes, as gRPC does for each connection."""
        self._taken.append(self._replaced())

    def works(self) -> bool:
        """Return whether only usable certificates were loaded."""
        return self._replaced.initial is not None and all(one is None for one in self._taken[:2])


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("what", [Keys, ListOfPolicy, PolicyFile, ServerCertificate])
def test_hostile_files_change_nothing_while_serving(
    what: Any, kind: str, tables_model: Path, certificates: Certificates, tmp_path: Path
) -> None:
    """The last valid content stays in force, and a valid file put back later is read again."""
    one = what(tmp_path, ValidFiles(tmp_path, tables_model, certificates))
    content = one.path.read_bytes()
    one.path.unlink()
    HOSTILE[kind](one.path)
    assert run_with_timeout(one.look) is None
    assert run_with_timeout(one.look) is None
    assert one.works() or (kind == "empty" and what in (ListOfPolicy, PolicyFile))
    one.path.rmdir() if kind == "folder" else one.path.unlink()
    one.path.write_bytes(content)
    assert run_with_timeout(one.look) is None
    assert one.works()


def test_an_emptied_file_of_keys_revokes_only_on_purpose(tmp_path: Path) -> None:
    """A file without keys keeps the last ones; `vouch keys remove` of the last key revokes it."""
    from runtime.keys_command import main

    path = tmp_path / "keys"
    assert main(["--file", str(path), "add", "shop"]) == 0
    text = path.read_text()
    keys = ApiKeys(path)
    for nothing in ("", "\n", "# nothing\n", text[:20]):
        path.write_text(nothing)
        keys.reload_if_changed()
        assert list(keys._keys) == ["shop"]
    path.write_text(text)
    assert main(["--file", str(path), "remove", "shop"]) == 0
    keys.reload_if_changed()
    assert list(keys._keys) == []
    assert main(["--file", str(path), "add", "again"]) == 0
    keys.reload_if_changed()
    assert list(keys._keys) == ["again"]


def test_a_change_while_keys_are_read_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that change between the check of the file and its reading, also at the start, are read the next time."""
    path, read = tmp_path / "keys", read_file
    path.write_text(f"old:{'0' * 64}:shop\n")

    def changing(file: Path, limit: int) -> bytes:
        content = read(file, limit)
        monkeypatch.setattr("runtime.access.keys.read_file", read)
        path.write_text(f"newer:{'1' * 64}:shop\n")
        return content

    monkeypatch.setattr("runtime.access.keys.read_file", changing)
    keys = ApiKeys(path)
    keys.reload_if_changed()
    assert list(keys._keys) == ["newer"]


def test_the_limit_holds_for_files_without_a_size(tmp_path: Path) -> None:
    """A file without a size, like those of /proc, is read up to the limit and not further."""
    assert len(read_file(Path("/proc/self/status"), 1 << 20)) > 100
    with pytest.raises(UnusableFile, match="larger than 1 KiB"):
        read_file(Path("/proc/self/smaps"), 1 << 10)
    path = tmp_path / "signing"
    make_key(path)
    assert read_file(path, 1 << 16) == path.read_bytes()
