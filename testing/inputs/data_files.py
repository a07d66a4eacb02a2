"""Data files of enrichment, made for tests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mmdb_writer import MMDBWriter
from netaddr import IPSet

GERMAN, FRENCH, VPN, HOSTING = "81.7.3.9", "2001:4c8::7", "5.9.1.2", "5.9.2.2"
"""Addresses of these files: one of Germany, one of France, a VPN's, and a hosting provider's."""
COUNTRIES: Final[Mapping[str, Any]] = {
    "81.7.0.0/16": {"country": {"iso_code": "DE"}},
    "2001:4c8::/32": {"country": {"iso_code": "FR"}},
    "1.2.3.0/24": {"country": "AU"},
    "1.2.4.0/24": {"country_code": "NZ"},
    "1.2.5.0/24": {"country": {"iso_code": "zz9"}},
    "10.0.0.0/8": {"country": {"iso_code": "US"}},
}
ANONYMITY: Final[Mapping[str, Any]] = {
    "5.9.1.0/24": {"is_anonymous": True, "is_anonymous_vpn": True},
    "5.9.2.0/24": {"traits": {"is_hosting_provider": True}},
    "5.9.3.0/24": {"vpn": "true", "hosting": "false"},
}


def mmdb(path: Path, networks: Mapping[str, Any], ip_version: int = 6) -> Path:
    """Write a database of networks."""
    writer = MMDBWriter(ip_version, "Test", description="made for a test", ipv4_compatible=ip_version == 6)
    for network, record in networks.items():
        if ip_version == 6 or ":" not in network:
            writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return path


def card_bins(path: Path, text: str = "bin,country\n424242,US\n45391234,DE\n") -> Path:
    """Write a table of card BINs."""
    path.write_text(text)
    return path
