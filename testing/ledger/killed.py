"""`python -m testing.ledger.killed STEP backup|restore URL FILE`: run a backup or a restore and kill it at a step.

Steps are its operations on files and rows. The exit code is 0 if it ended before that step.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from agent_server.backup import copying
from agent_server.backup.copying import back_up, restore
from agent_server.database import copies
from agent_server.ledger.schema import ENTRIES

_STEPS = (
    (Path, "rename"), (Path, "replace"), (Path, "unlink"), (copies, "sync"), (copying, "sync"), (copies, "make_single_file"),
    (copying, "copy_database"), (copying, "check_ledger"), (copying, "_chunks"), (copying, "_count_entries"),
)  # fmt: skip


def kill_at(step: int) -> None:
    """Let this process kill itself before step number `step`."""
    count = 0

    def killing(original: Any) -> Any:
        def run(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            counts = arguments[-1] is ENTRIES or not isinstance(arguments[-1], sa.Table)  # one of the tables is enough
            count += counts
            if counts and count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **options)

        return run

    for owner, name in _STEPS:
        setattr(owner, name, killing(getattr(owner, name)))


def main(step: str, action: str, url: str, file: str) -> None:
    """Run the backup or the restore."""
    kill_at(int(step))
    if action == "backup":
        back_up(url, Path(file), force=True)
    else:
        restore(Path(file), url, force=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
