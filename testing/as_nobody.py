"""`python -m testing.as_nobody URL`: verify a ledger without root's rights, as root may write anywhere.

The exit code is 0 if it verifies, 1 if not, and 3 if it cannot be read.
"""

import os
import sys

from agent_server.audit.verify import verify_ledger
from agent_server.ledger import LedgerError, reading

NOBODY = 65534


def main(url: str) -> int:
    """Give up root's rights, then verify."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    try:
        with reading(url) as connection:
            return int(bool(verify_ledger(connection, None).broken))
    except LedgerError:
        return 3


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
