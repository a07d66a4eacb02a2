"""Country of the issuing bank, from a table of card BINs."""

import csv
import re
from typing import Final

from enrichment.errors import DataFileError

_COUNTRY_COLUMNS: Final = ("country", "country_code", "alpha_2", "iso_code_2")
_BIN = re.compile(r"[0-9]{6,8}")
_COUNTRY = re.compile(r"[A-Z]{2}")


class CardBins:
    """Countries by the first six digits of a card, given the bytes of a CSV file in UTF-8. Raises DataFileError.

    The file has a column `bin`, of six to eight digits, and a column `country`, ISO 3166 alpha-2 (or one of the names that
    public lists use). A row without a country is ignored. Six digits with several countries are unknown.
    """

    def __init__(self, content: bytes) -> None:
        try:
            rows = csv.DictReader(content.decode("utf-8-sig").splitlines(), strict=True)
            self._countries = _read_countries(rows)
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataFileError("is not a CSV file in UTF-8") from error

    def country(self, card_bin: str) -> str | None:
        """Return the country of a card's first six digits; None if it is unknown."""
        return self._countries.get(card_bin)


def _read_countries(rows: "csv.DictReader[str]") -> dict[str, str | None]:
    names = {name.strip().lower(): name for name in rows.fieldnames or ()}
    country = next((names[name] for name in _COUNTRY_COLUMNS if name in names), None)
    if "bin" not in names or country is None:
        raise DataFileError("needs the columns bin and country")
    found: dict[str, str | None] = {}
    for number, row in enumerate(rows, 1):
        digits, code = (row[names["bin"]] or "").strip(), (row[country] or "").strip().upper()
        if not code:
            continue
        if not _BIN.fullmatch(digits) or not _COUNTRY.fullmatch(code):
            raise DataFileError(f"row {number}: expected a bin of 6 to 8 digits and a country of two letters")
        before = found.setdefault(digits[:6], code)
        if before != code:
            found[digits[:6]] = None
    return found
