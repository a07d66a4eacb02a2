"""`vouch keys`: manage API keys. A key is shown once; the file stores its digest only."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from runtime.access import SecurityError
from runtime.access.caller import ROLES, SHOP, WITHOUT_ROLE
from runtime.access.keys import NO_KEYS_LINE, Key, digest, new_key, read_keys
from runtime.process.commands import command
from runtime.process.files import atomic_write

DEFAULT = Path("vouch_api_keys")


@command("vouch keys", SecurityError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 for success, 2 for an error."""
    parser = argparse.ArgumentParser(prog="vouch keys", description="Make, list and remove API keys.")
    file_help = "key file"
    parser.add_argument("--file", type=Path, default=DEFAULT, help=f"{file_help} (default: {DEFAULT})")
    file_option = argparse.ArgumentParser(add_help=False)  # --file is accepted after the action too
    file_option.add_argument("--file", type=Path, default=argparse.SUPPRESS, help=file_help)
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", parents=[file_option], help="list all keys")
    add = actions.add_parser("add", parents=[file_option], help="create a key and show it once")
    add.add_argument("name")
    add.add_argument("--role", choices=ROLES, default=SHOP, help=f"role of the key (default: {SHOP})")
    role = actions.add_parser("role", parents=[file_option], help="change the role of a key")
    role.add_argument("name")
    role.add_argument("role", choices=ROLES)
    actions.add_parser("remove", parents=[file_option], help="revoke a key").add_argument("name")
    options = parser.parse_args(arguments)
    keys = read_keys(options.file) if options.file.exists() else {}
    if options.action == "list":
        lines = [f"{key.name:24} {key.role or WITHOUT_ROLE}" for _, key in sorted(keys.items())]
        print("\n".join(lines) or f"{options.file} contains no key")
    elif options.action == "add":
        if options.name in keys:
            raise SecurityError(f"a key named {options.name} exists; remove it first, or choose another name")
        key = new_key()
        _write(options.file, keys | {options.name: Key(options.name, digest(key), options.role)})
        print(key)
    else:
        if options.name not in keys:
            raise SecurityError(
                f"{options.file} has no key {options.name}; its keys: {', '.join(sorted(keys)) or 'none'}"
            )
        if options.action == "role":
            _write(options.file, keys | {options.name: replace(keys[options.name], role=options.role)})
            print(f"{options.name} now has the role {options.role}")
        else:
            _write(options.file, {name: key for name, key in keys.items() if name != options.name})
            print(f"key {options.name} removed")
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
                file.write(f"{NO_KEYS_LINE}\n")
        read_keys(partial)  # reject a name that the file cannot hold before the old file is replaced
