"""All derived fields of an order, with their sources. What the order has itself is never replaced: see the callers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

from enrichment.browser import derive_browser
from enrichment.cards import CardBins
from enrichment.errors import DataFileError
from enrichment.network import NetworkDatabase, derive_anonymity, derive_country

DERIVED: Final[Mapping[str, tuple[str, ...]]] = {
    "user_agent": ("device_type", "automation_detected"),
    "ip_address": ("ip_country", "vpn_proxy_detected", "hosting_ip_detected"),
    "card_bin": ("card_country",),
}
"""The fields that are derived from each field."""


class DerivedValue(NamedTuple):
    """A value (an enum by its short name), and where it comes from: the field, and the data file if there is one."""

    value: str | bool
    source: str


@dataclass(frozen=True)
class DataFiles:
    """The data files in use; without one, its fields are not derived."""

    countries: NetworkDatabase | None = None
    anonymity: NetworkDatabase | None = None
    cards: CardBins | None = None

    def derive(self, field: str, text: str) -> dict[str, DerivedValue]:
        """Return what can be derived from one field of DERIVED."""
        if field == "user_agent":
            return {name: DerivedValue(value, field) for name, value in derive_browser(text).items()}
        found: dict[str, DerivedValue] = {}
        if field == "card_bin":
            if self.cards and (country := self.cards.country(text)):
                found["card_country"] = DerivedValue(country, field)
            return found
        if self.countries and (country := derive_country(self.countries, text)):
            found["ip_country"] = DerivedValue(country, f"{field}, {self.countries.name}")
        if self.anonymity:
            source = f"{field}, {self.anonymity.name}"
            flags = derive_anonymity(self.anonymity, text)
            found |= {name: DerivedValue(value, source) for name, value in flags.items()}
        return found


FILES: Final[Mapping[str, tuple[str, Callable[[bytes], Any]]]] = {
    "VOUCH_IP_COUNTRY_DB": ("countries", NetworkDatabase),
    "VOUCH_IP_ANONYMITY_DB": ("anonymity", NetworkDatabase),
    "VOUCH_CARD_BINS": ("cards", CardBins),
}
"""The variable that names each data file, its attribute of DataFiles, and what reads its bytes."""
_Path = TypeVar("_Path")


def load_data_files(paths: Mapping[str, _Path], read: Callable[[_Path], bytes]) -> DataFiles:
    """Return the data files whose variables are in `paths`. Raises DataFileError, which names variable and file."""
    loaded: dict[str, Any] = {}
    for variable, path in paths.items():
        attribute, build = FILES[variable]
        try:
            loaded[attribute] = build(read(path))
        except OSError as error:
            raise DataFileError(f"{variable}: {path} cannot be read: {error.strerror}") from error
        except DataFileError as error:
            raise DataFileError(f"{variable}: {path} {error}") from error
    return DataFiles(**loaded)
