"""Dialects of CSV files: encoding, separator, quote and the lines before the header."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from contract.files.encodings import Opener, find_encoding
from contract.files.errors import TableError

SEPARATORS: Final = (",", ";", "\t", "|")
_SAMPLE: Final = 1 << 18
_ROWS: Final = 200
_SEP_LINE: Final = re.compile(r'"?sep=(\t|.)"?\s*', re.IGNORECASE)
_VALUE: Final = re.compile(r"[\s\d.,:;/€$£%+-]*\d[\s\d.,:;/€$£%+-]*")
_SPACED: Final = re.compile(r'[,;|] +"')


@dataclass(frozen=True)
class Dialect:
    """How a file is written; None is found from the file. `skip` is the number of lines before the header.

    `sheet` and `member` choose a part of a workbook and of an archive.
    """

    separator: str | None = None
    encoding: str | None = None
    skip: int | None = None
    quote: str = '"'
    sheet: str | None = None
    member: str | None = None


FIND_ALL: Final = Dialect()
"""Nothing is given: all is found from the file."""


@dataclass(frozen=True)
class FoundDialect:
    """What was found of one file; `names` are its columns and `header_end` the number of lines up to and with the header."""

    separator: str
    encoding: str
    quote: str
    skip: int
    header: tuple[str, ...]
    header_end: int
    spaced: bool = False
    """Whether a space stands between separators and quotes."""
    example: str = ""
    """A text with a letter that shows whether the encoding is right."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, without surrounding spaces; one without a name is called by its number."""
        stripped = (name.replace("\ufeff", "").strip() for name in self.header)
        return tuple(name or f"column {number}" for number, name in enumerate(stripped, 1))

    def notes(self) -> list[str]:
        """Return what is not usual about the file, in words."""
        separator = "a tab" if self.separator == "\t" else f"'{self.separator}'"
        parts = [f"separator {separator}"] if self.separator != "," else []
        if self.encoding.removesuffix("-sig") != "utf-8":
            advice = "" if self.encoding.startswith("utf") else " (if letters are wrong, set dialect: {encoding: …})"
            parts.append(f"encoding {self.encoding}" + (f", as in {self.example!r}{advice}" if self.example else ""))
        return parts + ([f"header after {self.skip} lines"] if self.skip else [])


def find_dialect(opener: Opener, given: Dialect) -> FoundDialect:
    """Return how a CSV file is written. Raises TableError if it cannot be determined, with what to set."""
    encoding = given.encoding or find_encoding(opener)
    text, complete = _read_sample(opener, encoding)
    lines = text.splitlines(keepends=True)
    if not complete and len(lines) > 1:
        lines = lines[:-1]
    if given.skip:
        lines = lines[given.skip :]
    separator, skip = given.separator, given.skip or 0
    if lines and (sep_line := _SEP_LINE.fullmatch(lines[0].lstrip("\ufeff"))):
        separator, lines, skip = separator or sep_line[1], lines[1:], skip + 1
    if not lines or not any(line.strip() for line in lines):
        raise TableError("Empty CSV file")
    spaced = any(map(_has_spaces, lines[:20])) and _SPACED.search("".join(lines[:_ROWS])) is not None
    shapes = [
        _Shape.of(lines, candidate, given.quote, spaced) for candidate in ((separator,) if separator else SEPARATORS)
    ]
    best = _choose(shapes)
    if given.skip is not None:
        best = replace(best, title_rows=0)
    header, before, end = best.header
    example = next((cell for row in best.rows for cell in row if not cell.isascii()), "").strip()[:30]
    return FoundDialect(
        best.separator, encoding, given.quote, skip + before, tuple(header), skip + end, spaced=spaced, example=example
    )


def _has_spaces(line: str) -> bool:
    """Return whether a space follows every separator of a line."""
    return any(line.count(f"{separator} ") == line.count(separator) > 0 for separator in ",;|")


def _read_sample(opener: Opener, encoding: str) -> tuple[str, bool]:
    with opener() as file:
        sample = file.read(_SAMPLE)
        complete = not file.read(1)
    try:
        text = sample.decode(encoding, errors="strict" if complete else "ignore")
    except LookupError as error:
        raise TableError(f"{encoding} is no encoding that Python knows") from error
    except UnicodeError as error:
        raise TableError(f"is not written in {encoding}: {error}") from error
    return text.removeprefix("\ufeff"), complete


@dataclass(frozen=True)
class _Shape:
    """The rows of a sample by one separator. `ends` are the numbers of the lines in which rows end."""

    separator: str
    rows: Sequence[Sequence[str]]
    ends: Sequence[int]
    width: int
    share: float
    title_rows: int

    @classmethod
    def of(cls, lines: Sequence[str], separator: str, quote: str, spaced: bool) -> "_Shape":
        options = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=spaced, **options)
        rows, ends = [], []
        try:
            for row in reader:
                rows.append(row)
                ends.append(reader.line_num)
                if len(rows) == _ROWS:
                    break
        except csv.Error as error:
            raise TableError(str(error)) from error
        widths = Counter(len(row) for row in rows if any(row))
        width = max(widths, key=lambda number: widths[number] * number)
        first = next((at for at, row in enumerate(rows) if len(row) == width and _is_header(row)), 0)
        titles = first if all(sum(map(bool, row)) <= max(1, width // 2) for row in rows[:first]) else 0
        below = [row for row in rows[titles:] if any(row)]
        return cls(separator, rows, ends, width, sum(len(row) == width for row in below) / len(below), titles)

    @property
    def header(self) -> tuple[Sequence[str], int, int]:
        """The header, the number of lines before it, and the number of lines up to its end."""
        at = self.title_rows
        while not any(self.rows[at]) and at < len(self.rows) - 1:
            at += 1
        return self.rows[at], self.ends[at - 1] if at else 0, self.ends[at]

    @property
    def rank(self) -> tuple[bool, bool, float, int]:
        """How well the separator splits the file: into several cells, under a header, alike, and into many."""
        header = self.header[0]
        fits = len(header) == self.width and _is_header(header)
        return self.width > 1, fits, round(self.share, 1), self.width


def _is_header(row: Sequence[str]) -> bool:
    names = [cell.strip() for cell in row if cell.strip()]
    return len(names) > len(row) // 2 and len(set(names)) == len(names) and not any(map(_VALUE.fullmatch, names))


def _choose(shapes: Sequence[_Shape]) -> _Shape:
    best = max(shapes, key=lambda shape: shape.rank)
    rivals = [shape for shape in shapes if shape.rank == best.rank and best.width > 1 and best.share == shape.share]
    if len(rivals) > 1:
        first, second = rivals[:2]
        raise TableError(
            f"may be separated by {first.separator!r} or by {second.separator!r}, both give {best.width} columns; "
            'set dialect: {separator: ";"} or another one in a mapping'
        )
    return best
