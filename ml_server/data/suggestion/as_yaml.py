"""Formats a suggested mapping as YAML, with the reason and examples of each entry as a comment. Pure."""

import re
from typing import Any

from contract.extras import is_name
from contract.schema import TYPES
from ml_server.data.suggestion.aliases import simple
from ml_server.data.suggestion.guess import Guess
from ml_server.data.suggestion.suggest import Suggestion
from runtime.process.terminal import escape_unprintable

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = {"y", "n", "yes", "no", "true", "false", "on", "off", "null"}
_MAX_LENGTH = 40


def quote_scalar(value: Any) -> str:
    """Return a scalar that YAML parses unchanged, on one line, without control characters for a terminal."""
    if value is None:
        return "null"
    if isinstance(value, int | float):
        return repr(value)
    text = str(value)
    if _BARE.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    return '"' + "".join(_escape(letter) for letter in text) + '"'


def _escape(letter: str) -> str:
    if letter in '"\\':
        return "\\" + letter
    if letter.isprintable():
        return letter
    code = ord(letter)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65_536 else f"\\U{code:08x}"


def to_yaml(suggestion: Suggestion, file: str, rows: int) -> str:
    """Return the whole file. `rows` is the number of rows from which it was guessed."""
    guesses = suggestion.guesses
    fields = [guess for guess in guesses if guess.role == "field"]
    names = {guess.name for guess in fields}
    found = f"The file looks like an export of {suggestion.export}. " if suggestion.export else ""
    lines = [
        f"# Suggested mapping of {escape_unprintable(file)}, guessed from its first {rows:,} rows. {found}Check it before you",
        f"# use it: vouch mapping check {escape_unprintable(file)} --mapping THIS_FILE",
        *(f"{key}: {_flow(value)}" for key, value in suggestion.rows.items()),
        "columns:" if fields else "columns: {}",
    ]
    if "timestamp" not in names:
        lines.append("  # timestamp: no column looks like one, but training needs it: timestamp: {from: …, format: …}")
    lines += [_entry(guess.name, guess, "  ") for guess in fields]
    if "transaction_id" not in names:
        lines.append("  # transaction_id: no column has a unique id for each order, so rows are numbered")
    labels = [guess for guess in guesses if guess.role == "label"]
    if labels:
        lines += [_comment(labels[0], ""), f"label: {_flow(labels[0].source)}"]
    else:
        lines.append('# label: no column looks like one, but training needs it: label: {from: …, abuse: "1"}')
    used = set(TYPES)
    lines.append("extra:")
    for role in ("numeric", "categorical"):
        extras = [guess for guess in guesses if guess.role == role]
        lines.append(f"  {role}:" if extras else f"  {role}: []")
        for guess in extras:
            lines.append(_entry(_free(guess.name, used), guess, "    "))
    lines += [f"# unused: {_comment(guess, '')[2:]}" for guess in guesses if guess.role == "unused"]
    return "\n".join(lines) + "\n"


def _free(column: str, used: set[str]) -> str:
    """Return a valid name for an extra that is not used yet."""
    name = column if is_name(column) else (simple(column)[:50] or "column")
    name = name if is_name(name) else f"column_{name}"
    while name in used:
        name = f"{name}_2"
    used.add(name)
    return name


def _entry(name: str, guess: Guess, indent: str) -> str:
    source = guess.source
    short = len(source) == 1 and isinstance(source.get("from"), str)
    return f"{_comment(guess, indent)}\n{indent}{quote_scalar(name)}: {_flow(source['from'] if short else source)}"


def _flow(value: Any) -> str:
    """Return a value in YAML's flow style, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quote_scalar(key)}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(one) for one in value) + "]"
    return quote_scalar(value)


def _comment(guess: Guess, indent: str) -> str:
    examples = ", ".join(escape_unprintable(text[:_MAX_LENGTH]) for text in guess.examples) or "none"
    return f"{indent}# {escape_unprintable(guess.column)}: {escape_unprintable(guess.reason)}. Examples: {examples}"
