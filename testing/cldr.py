"""Writes the words that `ml_server/data/readings` knows, from CLDR: signs and names of currencies, names of months.

Run `.venv/bin/python -m testing.cldr` after an update of Babel, which contains CLDR.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from babel import Locale, localedata
from babel.core import UnknownLocaleError
from babel.languages import get_official_languages
from babel.numbers import get_territory_currencies, list_currencies

FOLDER: Final = Path(__file__).parent.parent / "ml_server" / "data" / "readings"
_LANGUAGES: Final = (
    "en",
    "de",
    "fr",
    "es",
    "it",
    "nl",
    "pt",
    "sv",
    "da",
    "nb",
    "fi",
    "pl",
    "cs",
    "hu",
    "ro",
    "tr",
    "ru",
    "uk",
)
_MARKS: Final = dict.fromkeys(map(ord, "\u200b\u200e\u200f"))


def currency_words() -> set[str]:
    """Return signs of all currencies in all languages, their codes, and their names in English and where they are used."""
    words = set(list_currencies())
    for name in localedata.locale_identifiers():
        if "_" not in name:
            words |= set(Locale.parse(name).currency_symbols.values())
    for locale, code in _names_to_list():
        names = {locale.currencies.get(code, "")}
        names |= set(dict(locale._data.get("currency_names_plural", {}).get(code, {})).values())
        words |= names
        if locale.language == "en":
            words |= {name.split()[-1] for name in names if name}
    plain = {" ".join(word.translate(_MARKS).split()).casefold() for word in words}
    return {word for word in plain if word and not any(letter in "0123456789," for letter in word)}


def _names_to_list() -> Iterator[tuple[Locale, str]]:
    for code in list_currencies():
        yield Locale("en"), code
    for territory in map(str, Locale("en").territories):
        if len(territory) != 2:
            continue
        for language in get_official_languages(territory):
            try:
                locale = Locale.parse(language)
            except (UnknownLocaleError, ValueError):
                continue
            for code in get_territory_currencies(territory):
                yield locale, code


def month_words() -> dict[str, int]:
    """Return the number of the month by its name, long and short, in the languages of Europe; English comes first."""
    found: dict[str, int] = {}
    unclear: set[str] = set()
    for language in _LANGUAGES:
        months = Locale(language).months
        for form in ("format", "stand-alone"):
            for width in ("wide", "abbreviated"):
                for number, name in months[form][width].items():
                    word = name.casefold().strip(".")
                    if not word.isalpha() or (found.get(word, number) != number and language == "en"):
                        continue
                    if found.setdefault(word, number) != number:
                        unclear.add(word)
    found["sept"] = 9
    english = {
        name.casefold() for width in ("wide", "abbreviated") for name in Locale("en").months["format"][width].values()
    }
    return {word: number for word, number in found.items() if word not in unclear - english}


def write() -> None:
    """Write both lists."""
    (FOLDER / "currencies.txt").write_text("\n".join(sorted(currency_words())) + "\n", encoding="utf-8")
    months = sorted((number, word) for word, number in month_words().items())
    (FOLDER / "months.txt").write_text("".join(f"{number} {word}\n" for number, word in months), encoding="utf-8")


if __name__ == "__main__":
    write()
