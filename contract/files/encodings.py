"""The encoding of a text file: by its byte order mark, else UTF-8 if it is valid, else by its letters."""

import codecs
import re
from collections.abc import Callable
from typing import BinaryIO, Final

from contract.files.errors import TableError

Opener = Callable[[], BinaryIO]
"""Opens a file from its start, uncompressed."""
BLOCK: Final = 1 << 20
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_CANDIDATES: Final = (
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "shift_jis", "gb18030", "big5", "euc_kr", "mac_roman",
    "cp850",
)  # fmt: skip
"""The encodings in which spreadsheets and shops of the different countries save CSV files."""
_MAX_SAMPLE: Final = 20_000
_ODD: Final = re.compile(
    r"[a-zß-ÿ][A-ZÀ-ÞŠŽŸŒ]|[^\W\d_][ŠŽŸŒ][a-z]|[^\W\d_][¹²³¼½¾¿£¥¦¬¯]|[¹²³¼½¾¿£¥¦¬¯][^\W\d_]|[^\x00-\x7f]{3}"
)
"""Marks of another encoding in a text that was read as Windows-1252: capitals, digits and signs inside of words, and words
without ASCII."""


def find_encoding(opener: Opener) -> str:
    """Return the encoding of a file. Raises TableError if it is no text, or no encoding fits."""
    with opener() as file:
        head = file.read(4096)
        for mark, name in _MARKS:
            if head.startswith(mark):
                return name
        if b"\0" in head:
            return _utf16_without_mark(head)
        decoder = codecs.getincrementaldecoder("utf-8")()
        block, before = head, b""
        try:
            while block:
                decoder.decode(block)
                before, block = block[-256:], file.read(BLOCK)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return _guess(before + block + file.read(BLOCK))
        return "utf-8"


def _utf16_without_mark(head: bytes) -> str:
    half = len(head) // 2
    for offset, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if head[offset::2].count(0) > 0.4 * half and head[1 - offset :: 2].count(0) < 0.1 * half:
            return name
    raise TableError("contains NUL bytes, so it is no text file; export it again as CSV, Parquet or .xlsx")


def _guess(content: bytes) -> str:
    """Return the encoding of a text that is not UTF-8, by its lines that are not ASCII."""
    lines = [line for line in content.splitlines() if not line.isascii()]
    sample = b"\n".join(lines)[:_MAX_SAMPLE]
    decoded = sample.decode("utf-8", errors="replace")
    broken = decoded.count("\ufffd")
    if sum(not letter.isascii() for letter in decoded) - broken > broken:
        where = next(line for line in lines if "\ufffd" in line.decode("utf-8", errors="replace"))
        text = where.decode("utf-8", errors="replace")[:60]
        raise TableError(
            f"is UTF-8 but for some bytes, as in {text!r}; export it again, or set dialect: {{encoding: …}}"
        )
    if _is_western(sample):
        return "windows-1252"
    from charset_normalizer import from_bytes  # not needed for most files

    found = [match.encoding for match in from_bytes(sample, cp_isolation=list(_CANDIDATES))]
    found = [name for name in found if name != "cp1252"] or found
    if not found:
        raise TableError("is neither UTF-8 nor in another known encoding; set dialect: {encoding: …}")
    return found[0].replace("cp125", "windows-125")


def _is_western(sample: bytes) -> bool:
    """Return whether Windows-1252, by far the most frequent of its kind, gives words as they are written."""
    try:
        return not _ODD.search(sample.decode("cp1252"))
    except UnicodeDecodeError:
        return False
