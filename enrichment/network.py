"""Country, VPN and hosting of full public IP addresses, from databases in the MMDB format."""

import datetime as dt
import io
import ipaddress
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import maxminddb

from enrichment.errors import DataFileError

_CACHE_SIZE: Final = 16_384
_VPN_FLAGS: Final = frozenset(
    ("is_anonymous_vpn", "is_public_proxy", "is_residential_proxy", "is_tor_exit_node", "is_anonymous_proxy", "is_vpn",
     "is_proxy", "is_tor", "vpn", "proxy", "tor", "relay")
)  # fmt: skip
_HOSTING_FLAGS: Final = frozenset(("is_hosting_provider", "is_hosting", "hosting"))
_PROBES: Final = 512
"""Addresses that are looked up when a database is read, spread over the address space."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NetworkDatabase:
    """A database of networks in memory, given the bytes of an MMDB file. Raises DataFileError if it is damaged."""

    def __init__(self, content: bytes) -> None:
        try:
            self._reader = maxminddb.open_database(io.BytesIO(content), maxminddb.MODE_FD)
            metadata = self._reader.metadata()
            self.name = f"{metadata.database_type} {dt.datetime.fromtimestamp(metadata.build_epoch, dt.UTC):%Y-%m-%d}"
            self._has_ipv6 = metadata.ip_version == 6
            for address in self._probe_addresses():
                self._reader.get(address)
        except Exception as error:  # a damaged file can fail at any step of the reader, in any way
            raise DataFileError("is not a valid MMDB file; download it again") from error
        self.record = lru_cache(maxsize=_CACHE_SIZE)(self._record)
        """Return the record of an address; None if there is none."""

    def _probe_addresses(self) -> Iterator[_Address]:
        for number in range(_PROBES):
            yield ipaddress.IPv4Address(number << 23)
            if self._has_ipv6:
                yield ipaddress.IPv6Address((0x2000 << 112) + (number << 116))

    def _record(self, address: _Address) -> Mapping[str, Any] | None:
        if address.version == 6 and not self._has_ipv6:
            return None
        try:
            record = self._reader.get(address)
        except Exception:  # a damaged part that no probe met: unknown
            return None
        return record if isinstance(record, Mapping) else None


def public_address(text: str) -> _Address | None:
    """Return a full address of the public internet; None for a masked, private or reserved one."""
    try:
        address: _Address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address if address.is_global and not address.is_multicast else None


def derive_country(database: NetworkDatabase, text: str) -> str | None:
    """Return the country of an address, ISO 3166 alpha-2; None if it is unknown.

    It reads `country.iso_code` (MaxMind, DB-IP, IP2Location), or `country` or `country_code` as text (IPinfo and others).
    """
    address = public_address(text)
    record = database.record(address) if address else None
    if record is None:
        return None
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, Mapping) else country or record.get("country_code")
    return code if isinstance(code, str) and len(code) == 2 and code.isascii() and code.isupper() else None


def derive_anonymity(database: NetworkDatabase, text: str) -> dict[str, bool]:
    """Return `vpn_proxy_detected`, and `hosting_ip_detected` if the record says so, of an address.

    An address that such a database does not list is no VPN. The last octet 0 may be a mask, so it tells nothing.
    """
    address = public_address(text)
    if address is None or (address.version == 4 and int(address) % 256 == 0):
        return {}
    record = database.record(address) or {}
    traits = record.get("traits")
    flags = {**record, **traits} if isinstance(traits, Mapping) else record
    found = {"vpn_proxy_detected": any(_is_set(flags.get(name)) for name in _VPN_FLAGS)}
    if known := _HOSTING_FLAGS & flags.keys():
        found["hosting_ip_detected"] = any(_is_set(flags[name]) for name in known)
    return found


def _is_set(flag: object) -> bool:
    return flag is True or flag == 1 or (isinstance(flag, str) and flag.lower() == "true")
