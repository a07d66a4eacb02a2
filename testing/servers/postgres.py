"""A private PostgreSQL on a free port, or on a socket in its folder, from Debian's binaries."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg

from testing.waiting import free_port, wait_for

_USER = "postgres"


def binaries() -> Path | None:
    """Return the folder of the newest installed PostgreSQL, or None."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return folders[-1].parent if folders else None


class Postgres:
    """A server in a folder. PostgreSQL refuses to run as root: then it runs as the user that its package created."""

    def __init__(
        self, folder: Path, settings: Mapping[str, str], *,
        like: Path | None = None, by_socket: bool = False,
    ) -> None:  # fmt: skip
        """Prepare a server; `like` is the folder of a stopped server whose databases this one starts with."""
        bin_folder = binaries()
        assert bin_folder is not None
        self._bin, self._data, self.port, self._settings = bin_folder, folder / "data", 0, settings
        self._socket = folder if by_socket else None
        self._creating: psycopg.Connection[tuple[object, ...]] | None = None
        self._as: list[str] = []
        if os.geteuid() == 0:
            owner = pwd.getpwnam(_USER)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            for parent in folder.parents:  # pytest's folders are private to their user
                with contextlib.suppress(OSError):
                    parent.chmod(parent.stat().st_mode | 0o011)
            self._as = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
        self._process: subprocess.Popen[bytes] | None = None
        if like is not None:
            self._run("cp", "-a", str(like / "data"), str(folder))
            return
        self._run(str(self._bin / "initdb"), "-D", str(self._data), "-A", "trust", "-U", _USER, "--no-sync")

    def _run(self, *command: str) -> None:
        subprocess.run([*self._as, *command], check=True, capture_output=True, cwd="/")

    def start(self) -> None:
        """Start, and wait until it answers. The first start chooses the port; a later one too if the port was taken."""
        known = bool(self.port)
        while True:
            self.port = self.port if known else free_port()
            self._process = self._begin()
            wait_for(lambda: self._answers() or self._ended(), what="PostgreSQL")
            if not self._ended():
                return
            if known:
                raise RuntimeError("PostgreSQL ended at its start")

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _begin(self) -> "subprocess.Popen[bytes]":
        options = {
            "listen_addresses": "" if self._socket else "127.0.0.1", "port": self.port, "fsync": "off",
            "unix_socket_directories": self._socket or "",
            "max_connections": 200, "shared_buffers": "32MB", "full_page_writes": "off",
            "jit": "off", **self._settings,
        }  # fmt: skip
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [*self._as, str(self._bin / "postgres"), "-D", str(self._data), *settings]
        return subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def connect(self, database: str = _USER) -> "psycopg.Connection[tuple[object, ...]]":
        """Return a connection with autocommit."""
        where = f"host={self._socket or '127.0.0.1'} port={self.port} user={_USER} dbname={database}"
        return psycopg.connect(where, autocommit=True, connect_timeout=60)

    def new_database(self, template: str = "template0") -> str:
        """Return the URL of a new database: empty, or a copy of another one."""
        name = f"ledger_{uuid.uuid4().hex[:12]}"
        if self._creating is None or self._creating.closed:
            self._creating = self.connect()
        # By files: the other strategy also writes all of it to the log.
        # PostgreSQL 15 and later log each page by default, which takes three times as long.
        strategy = " STRATEGY FILE_COPY" if self._creating.info.server_version >= 150_000 else ""
        self._creating.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"{strategy}'.encode())
        if self._socket:
            return f"postgresql://{_USER}@/{name}?host={self._socket}&port={self.port}"
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{name}"

    def files(self, url: str) -> list[Path]:
        """Return all files of a database, and the shared ones: logs, and tables of the server."""
        with self.connect(name_of(url)) as connection:
            row = connection.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
        assert row is not None
        own = self._data / "base" / str(row[0])
        shared = (path for path in self._data.rglob("*") if self._data / "base" not in path.parents)
        return [path for path in (*own.rglob("*"), *shared) if path.is_file()]

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of all its processes, also of those that have ended."""
        assert self._process is not None
        first, ticks = self._process.pid, 0
        for pid in (first, *_children(first)):
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11 : 15 if pid == first else 13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """Kill -9 all its processes, and wait until none holds its memory: else it could not start again."""
        assert self._process is not None
        self._disconnect()
        self._process.send_signal(signal.SIGSTOP)  # so that it starts no other process meanwhile
        pids = _children(self._process.pid)
        for pid in (self._process.pid, *pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        wait_for(lambda: not any(map(_lives, pids)), what="the end of PostgreSQL's processes")

    def _disconnect(self) -> None:
        if self._creating is not None:
            self._creating.close()
            self._creating = None

    def end(self) -> None:
        """Shut down cleanly, so that its files can be copied."""
        assert self._process is not None
        self._disconnect()
        self._process.send_signal(signal.SIGINT)
        self._process.wait()

    def stop(self) -> None:
        """Stop at once, without a checkpoint, and remove its files."""
        self._disconnect()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
        shutil.rmtree(self._data, ignore_errors=True)


def name_of(url: str) -> str:
    """Return the name of the database in a URL."""
    return url.rpartition("@")[2].partition("/")[2].partition("?")[0]


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _lives(pid: int) -> bool:
    """Return whether a process runs; one that has ended but was not waited for has no command line."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


@contextlib.contextmanager
def running(folder: Path, *, like: Path | None = None, by_socket: bool = False, **settings: str) -> Iterator[Postgres]:
    """Run a server while the block runs."""
    server = Postgres(folder, settings, like=like, by_socket=by_socket)
    try:
        server.start()
        yield server
    finally:
        server.stop()
