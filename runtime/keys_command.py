"""`vouch keys`: API keys by name. A key is shown once; the file keeps only its digest."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from runtime.access import SecurityError
from runtime.access.caller import ROLES, SHOP, WITHOUT_ROLE
from runtime.access.keys import EMPTIED, Key, digest, new_key, read_keys
from runtime.process.commands import command
from runtime.process.files import atomic_write

DEFAULT = Path("vouch_api_keys")


@command("vouch keys", SecurityError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 well, 2 it could not run."""
    parser = argparse.ArgumentParser(prog="vouch keys", description="Make, list and remove API keys.")
    where = "file of digests"
    parser.add_argument("--file", type=Path, default=DEFAULT, help=f"{where} (default: {DEFAULT})")
    after = argparse.ArgumentParser(add_help=False)  # the option stands behind the action too
    after.add_argument("--file", type=Path, default=argparse.SUPPRESS, help=where)
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", parents=[after], help="names of all keys")
    add = actions.add_parser("add", parents=[after], help="make a key and show it once")
    add.add_argument("name")
    add.add_argument("--role", choices=ROLES, default=SHOP, help=f"what its holder may do (default: {SHOP})")
    role = actions.add_parser("role", parents=[after], help="give a key another role")
    role.add_argument("name")
    role.add_argument("role", choices=ROLES)
    actions.add_parser("remove", parents=[after], help="make a key useless").add_argument("name")
    options = parser.parse_args(arguments)
    keys = read_keys(options.file) if options.file.exists() else {}
    if options.action == "list":
        lines = [f"{key.name:24} {key.role or WITHOUT_ROLE}" for _, key in sorted(keys.items())]
        print("\n".join(lines) or f"{options.file} holds no key")
    elif options.action == "add":
        if options.name in keys:
            raise SecurityError(f"{options.name} has a key already: remove it first, or take another name")
        key = new_key()
        _write(options.file, keys | {options.name: Key(options.name, digest(key), options.role)})
        print(key)
    else:
        if options.name not in keys:
            raise SecurityError(f"{options.file} has no key {options.name}; it has {', '.join(sorted(keys)) or 'none'}")
        if options.action == "role":
            _write(options.file, keys | {options.name: replace(keys[options.name], role=options.role)})
            print(f"{options.name} is {options.role} now")
        else:
            _write(options.file, {name: key for name, key in keys.items() if name != options.name})
            print(f"{options.name} is no longer let in")
    return 0


def _write(path: Path, keys: dict[str, Key]) -> None:
    with atomic_write(path) as partial:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            lines = (
                f"{key.name}:{key.digest}" + (f":{key.role}" if key.role else "") for _, key in sorted(keys.items())
            )
            file.writelines(f"{line}\n" for line in lines)
            if not keys:
                file.write(f"{EMPTIED}\n")
        read_keys(partial)  # a name that cannot stand in the file is refused before the old one is gone
