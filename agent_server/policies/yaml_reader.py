"""Reads YAML nodes with their positions, so that each error names a line and a column."""

import difflib
import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

import yaml

MAX_BYTES: Final = 1 << 20
"""Maximum size of a policy file."""
_MAX_DEPTH: Final = 20
_DURATION = re.compile(r"(\d{1,6})([mhd])", re.ASCII)
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400}
_YEAR: Final = 365 * 86_400


class PolicyError(Exception):
    """A policy file is invalid. The message says where, what is wrong, and what is expected."""

    def __init__(self, path: Path, message: str, line: int = 1, column: int = 1) -> None:
        self.line, self.column = line, column
        super().__init__(f"{path}:{line}:{column}: {message}")


class _Loader(yaml.SafeLoader):
    """Composes nodes; rejects references and deep nesting."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node like PyYAML. Raises MarkedYAMLError."""
        if self.check_event(yaml.AliasEvent):
            raise self._error("references (*name) are not supported; repeat the value")
        self.depth += 1
        if self.depth > _MAX_DEPTH and self.check_event(yaml.CollectionStartEvent):
            raise self._error("nesting is too deep")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def _error(self, problem: str) -> yaml.MarkedYAMLError:
        return yaml.MarkedYAMLError(problem=problem, problem_mark=self.peek_event().start_mark)  # type: ignore[no-untyped-call]


class Reader:
    """Reads the nodes of one file."""

    def __init__(self, path: Path) -> None:
        self.path, self.lines = path, [""]

    def root(self, content: bytes) -> yaml.Node | None:
        """Return the document; None if it is empty. Raises PolicyError."""
        if len(content) > MAX_BYTES:
            raise PolicyError(self.path, f"file is larger than {MAX_BYTES >> 20} MB")
        try:
            text = content.decode("utf-8-sig")
            self.lines = text.split("\n")
            return yaml.compose(text, _Loader)
        except UnicodeDecodeError as error:
            raise PolicyError(self.path, "file is not UTF-8") from error
        except yaml.reader.ReaderError as error:
            raise PolicyError(self.path, "file contains characters that YAML does not allow") from error
        except yaml.MarkedYAMLError as error:
            raise self._at(error.problem_mark or error.context_mark, error.problem or "invalid YAML") from error

    def error(self, node: yaml.Node, message: str) -> PolicyError:
        """Return an error at the position of a node."""
        return self._at(node.start_mark, message)

    def _at(self, mark: yaml.Mark | None, message: str) -> PolicyError:
        return (
            PolicyError(self.path, message, mark.line + 1, mark.column + 1) if mark else PolicyError(self.path, message)
        )

    def mapping(self, node: yaml.Node, known: Collection[str] = ()) -> dict[str, yaml.Node]:
        """Return the values of a mapping by their keys. With `known`, other keys are an error."""
        if not isinstance(node, yaml.MappingNode):
            raise self.error(node, "expected a mapping")
        values: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if known and name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {close[0]}?" if close else f"use {', '.join(known)}"
                raise self.error(key, f"unknown key{f' {name}' if name else ''}; {hint}")
            if name in values:
                raise self.error(key, f"duplicate key {name}")
            values[name] = value
        return values

    def exact_mapping(self, node: yaml.Node, names: Collection[str]) -> dict[str, yaml.Node]:
        """Return the values of a mapping that must have exactly these keys."""
        values = self.mapping(node, names)
        for name in names:
            if name not in values:
                raise self.error(node, f"{name} is missing")
        return values

    def sequence(self, node: yaml.Node) -> list[yaml.Node]:
        """Return the entries of a list."""
        if not isinstance(node, yaml.SequenceNode):
            raise self.error(node, "expected a list")
        return list(node.value)

    def text(self, node: yaml.Node, max_length: int = 256) -> str:
        """Return a string of 1 to `max_length` characters."""
        if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
            raise self.error(node, "expected a string")
        value = str(node.value).strip()
        if not value or len(value) > max_length:
            raise self.error(node, f"expected a string of 1 to {max_length} characters")
        return value

    def share(self, node: yaml.Node) -> float:
        """Return a number from 0 to 1."""
        number = self._number(node)
        if not 0 <= number <= 1:
            raise self.error(node, f"expected a number from 0 to 1, not {node.value}")
        return number

    def amount(self, node: yaml.Node) -> float:
        """Return a number that is not negative."""
        number = self._number(node)
        if number < 0:
            raise self.error(node, f"expected an amount, not {node.value}")
        return number

    def count(self, node: yaml.Node, limit: int) -> int:
        """Return a whole number from 0 to `limit`."""
        number = self._number(node)
        if number != int(number) or not 0 <= number <= limit:
            raise self.error(node, f"expected a whole number from 0 to {limit}, not {node.value}")
        return int(number)

    def duration(self, node: yaml.Node) -> float:
        """Return a duration in seconds, written in minutes, hours or days: 30m, 8h, 2d; at most a year."""
        match = _DURATION.fullmatch(node.value) if isinstance(node, yaml.ScalarNode) else None
        seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
        if not 0 < seconds <= _YEAR:
            raise self.error(node, "expected a duration like 30m, 8h or 2d, at most a year")
        return float(seconds)

    def flag(self, node: yaml.Node) -> bool:
        """Return a boolean."""
        if not isinstance(node, yaml.ScalarNode) or node.tag != "tag:yaml.org,2002:bool":
            raise self.error(node, "expected true or false")
        return str(node.value).lower() in ("true", "yes", "on")

    def choice(self, node: yaml.Node, choices: Collection[str]) -> str:
        """Return one of some words."""
        value = node.value if isinstance(node, yaml.ScalarNode) else None
        if value not in choices:
            raise self.error(node, f"expected one of {', '.join(choices)}")
        return str(value)

    def _number(self, node: yaml.Node) -> float:
        if isinstance(node, yaml.ScalarNode) and node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
            try:
                value = float(node.value)
            except ValueError:
                value = float("nan")
            if abs(value) < float("inf"):
                return value
        raise self.error(node, "expected a number")
