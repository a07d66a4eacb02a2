"""YAML with places: what was written where, so that each complaint names a line and a column."""

import difflib
import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

import yaml

LARGEST: Final = 1 << 20
"""Bytes of a file of a policy."""
_DEEPEST: Final = 20
_DURATION = re.compile(r"(\d{1,6})([mhd])", re.ASCII)
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400}
_YEAR: Final = 365 * 86_400


class PolicyError(Exception):
    """A policy that cannot be meant; says where, what, and what would be right."""

    def __init__(self, path: Path, message: str, line: int = 1, column: int = 1) -> None:
        self.line, self.column = line, column
        super().__init__(f"{path}:{line}:{column}: {message}")


class _Loader(yaml.SafeLoader):
    """Composes nodes, without references, and not too deep."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """As PyYAML does. Raises MarkedYAMLError."""
        if self.check_event(yaml.AliasEvent):
            raise self._refused("references (*name) are not read: write it out")
        self.depth += 1
        if self.depth > _DEEPEST and self.check_event(yaml.CollectionStartEvent):
            raise self._refused("this is nested too deeply")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def _refused(self, problem: str) -> yaml.MarkedYAMLError:
        return yaml.MarkedYAMLError(problem=problem, problem_mark=self.peek_event().start_mark)  # type: ignore[no-untyped-call]


class Reader:
    """Reads the nodes of one file."""

    def __init__(self, path: Path) -> None:
        self.path, self.lines = path, [""]

    def root(self, content: bytes) -> yaml.Node | None:
        """The document; None where it is empty. Raises PolicyError."""
        if len(content) > LARGEST:
            raise PolicyError(self.path, f"the file is larger than {LARGEST >> 20} MB")
        try:
            text = content.decode("utf-8-sig")
            self.lines = text.split("\n")
            return yaml.compose(text, _Loader)
        except UnicodeDecodeError as error:
            raise PolicyError(self.path, "the file is not UTF-8") from error
        except yaml.reader.ReaderError as error:
            raise PolicyError(self.path, "the file has characters that YAML does not allow") from error
        except yaml.MarkedYAMLError as error:
            raise self._at(error.problem_mark or error.context_mark, error.problem or "no YAML") from error

    def error(self, node: yaml.Node, message: str) -> PolicyError:
        """A complaint about what stands here."""
        return self._at(node.start_mark, message)

    def _at(self, mark: yaml.Mark | None, message: str) -> PolicyError:
        return (
            PolicyError(self.path, message, mark.line + 1, mark.column + 1) if mark else PolicyError(self.path, message)
        )

    def mapping(self, node: yaml.Node, known: Collection[str] = ()) -> dict[str, yaml.Node]:
        """The values of a mapping by their keys; with `known`, no others."""
        if not isinstance(node, yaml.MappingNode):
            raise self.error(node, "names with values are wanted here")
        values: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if known and name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
                raise self.error(key, f"there is no {name or 'such name'} here: {hint}")
            if name in values:
                raise self.error(key, f"{name} stands here twice")
            values[name] = value
        return values

    def whole(self, node: yaml.Node, names: Collection[str]) -> dict[str, yaml.Node]:
        """The values of a mapping that has just these keys."""
        values = self.mapping(node, names)
        for name in names:
            if name not in values:
                raise self.error(node, f"{name} is missing here")
        return values

    def sequence(self, node: yaml.Node) -> list[yaml.Node]:
        """The entries of a list."""
        if not isinstance(node, yaml.SequenceNode):
            raise self.error(node, "a list is wanted here")
        return list(node.value)

    def text(self, node: yaml.Node, longest: int = 256) -> str:
        """A text of at least one character."""
        if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
            raise self.error(node, "a text is wanted here")
        value = str(node.value).strip()
        if not value or len(value) > longest:
            raise self.error(node, f"a text of 1 to {longest} characters is wanted here")
        return value

    def share(self, node: yaml.Node) -> float:
        """A number from 0 to 1."""
        number = self._number(node)
        if not 0 <= number <= 1:
            raise self.error(node, f"a number from 0 to 1 is wanted here, not {node.value}")
        return number

    def amount(self, node: yaml.Node) -> float:
        """A number that is not below 0."""
        number = self._number(node)
        if number < 0:
            raise self.error(node, f"an amount is wanted here, not {node.value}")
        return number

    def count(self, node: yaml.Node, most: int) -> int:
        """A whole number from 0 to `most`."""
        number = self._number(node)
        if number != int(number) or not 0 <= number <= most:
            raise self.error(node, f"a whole number from 0 to {most} is wanted here, not {node.value}")
        return int(number)

    def duration(self, node: yaml.Node) -> float:
        """Seconds, written as minutes, hours or days: 30m, 8h, 2d; at most a year."""
        match = _DURATION.fullmatch(node.value) if isinstance(node, yaml.ScalarNode) else None
        seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
        if not 0 < seconds <= _YEAR:
            raise self.error(node, "a time is wanted here, like 30m, 8h or 2d, at most a year")
        return float(seconds)

    def flag(self, node: yaml.Node) -> bool:
        """True or false."""
        if not isinstance(node, yaml.ScalarNode) or node.tag != "tag:yaml.org,2002:bool":
            raise self.error(node, "true or false is wanted here")
        return str(node.value).lower() in ("true", "yes", "on")

    def choice(self, node: yaml.Node, choices: Collection[str]) -> str:
        """One of some words."""
        value = node.value if isinstance(node, yaml.ScalarNode) else None
        if value not in choices:
            raise self.error(node, f"one of {', '.join(choices)} is wanted here")
        return str(value)

    def _number(self, node: yaml.Node) -> float:
        if isinstance(node, yaml.ScalarNode) and node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
            try:
                value = float(node.value)
            except ValueError:
                value = float("nan")
            if abs(value) < float("inf"):
                return value
        raise self.error(node, "a number is wanted here")
