"""`vouch keys`: manage API keys. A key is shown once; the file stores its digest only."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from runtime.access import SecurityError
from runtime.access.caller import ROLES, SHOP, WITHOUT_ROLE
from runtime.access.keys import NO_KEYS_LINE, Key, digest, new_key, read_keys
from runtime.process.command_line import CommandParser
from runtime.process.commands import command
from runtime.process.files import atomic_write
from runtime.process.output import print_json

DEFAULT = Path("vouch_api_keys")


def parser() -> CommandParser:
    """Return the parser of `vouch keys`."""
    result = CommandParser(
        prog="vouch keys", description="Create, list and remove API keys. A file stores their digests only.",
        examples=("vouch keys add checkout", "vouch keys add ada --role reviewer", "vouch keys list --json"),
    )  # fmt: skip
    result.add_argument("--file", type=Path, default=DEFAULT, help=f"key file (default: {DEFAULT})")
    actions = result.add_subparsers(dest="action", required=True)
    listed = actions.add_parser("list", help="list all keys", examples=("vouch keys list --json",))
    listed.add_json_option()
    add = actions.add_parser(
        "add", help="create a key and show it once", examples=("vouch keys add ada --role reviewer",)
    )
    add.add_argument("name", help="name of the caller, such as `checkout`")
    add.add_argument("--role", choices=ROLES, default=SHOP, help=f"role of the key (default: {SHOP})")
    role = actions.add_parser("role", help="change the role of a key", examples=("vouch keys role ada auditor",))
    role.add_argument("name", help="name of the key")
    role.add_argument("role", choices=ROLES, help="its new role")
    remove = actions.add_parser("remove", help="revoke a key", examples=("vouch keys remove ada",))
    remove.add_argument("name", help="name of the key")
    return result


@command("vouch keys", SecurityError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    keys = read_keys(options.file) if options.file.exists() else {}
    if options.action == "list" and options.json:
        print_json([{"name": key.name, "role": key.role or None} for _, key in sorted(keys.items())])
    elif options.action == "list":
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
