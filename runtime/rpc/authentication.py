"""Authentication of gRPC calls: by API key, by client certificate, or as the local user of a service without either."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from runtime.access.caller import ADMIN, ANONYMOUS, SHOP, Caller
from runtime.access.forwarding import FORWARDING_HEADERS, is_forwarded_from_elsewhere
from runtime.access.keys import KEY_REQUIRED, KEY_UNKNOWN, ApiKeys, presented_key
from runtime.access.loopback import is_loopback
from runtime.errors import Unauthenticated

LOCAL_USER = Caller("", ADMIN)
"""A local caller of a service without keys: the user of the machine, who owns the ledger file anyway."""
_PEER = re.compile(r"ipv[46]:(.*):\d+")


class Authenticator:
    """Identifies the caller of each call.

    With keys, the key decides. Without keys, a client certificate gets the role of its name in `certificate_roles`, or
    the least role. Without both, only local callers are admitted; `insecure` admits others with the least role.
    """

    def __init__(
        self,
        keys: ApiKeys | None = None,
        certificate_roles: Mapping[str, str] | None = None,
        *,
        insecure: bool = False,
    ) -> None:
        """`certificate_roles` is None if clients present no certificates."""
        self._keys, self._certificate_roles, self._insecure = keys, certificate_roles, insecure

    def caller_of(self, headers: Mapping[str, str], context: Any) -> Caller:
        """Return the caller. Raise Unauthenticated.

        Args:
            headers: text metadata of the call, names in lower case.
            context: the call's grpc.aio.ServicerContext.

        """
        if self._keys is not None:
            return _key_holder(headers, self._keys)
        if not _is_local(headers, context, certified=self._certificate_roles is not None):
            if not self._insecure:
                raise Unauthenticated("an API key is required, and this service has no keys; set its ..._API_KEYS file")
            return ANONYMOUS
        if self._certificate_roles is not None:
            return _certificate_holder(context, self._certificate_roles)
        return LOCAL_USER


def _key_holder(headers: Mapping[str, str], keys: ApiKeys) -> Caller:
    key = presented_key(headers)
    if not key:
        raise Unauthenticated(KEY_REQUIRED)
    holder = keys.holder_of(key)
    if holder is None:
        raise Unauthenticated(KEY_UNKNOWN)
    return holder


def _is_local(headers: Mapping[str, str], context: Any, *, certified: bool) -> bool:
    """Return whether a call is local or has a certificate, and no proxy forwarded it from another machine."""
    if not certified and not _is_local_peer(context.peer()):
        return False
    # Reading the metadata again takes longer than the rest, and few calls have been forwarded.
    if FORWARDING_HEADERS.isdisjoint(headers):
        return True
    # Of repeated headers gRPC keeps the last, which the nearest proxy wrote.
    return not is_forwarded_from_elsewhere(context.invocation_metadata() or ())


@lru_cache(1024)
def _is_local_peer(peer: str) -> bool:
    """Return whether gRPC's name of a peer is not an address of another machine."""
    match = _PEER.fullmatch(peer)
    return match is None or is_loopback(unquote(match[1]))


def _certificate_holder(context: Any, roles: Mapping[str, str]) -> Caller:
    """Return the caller named by a verified client certificate: by alternative names first, then by common name."""
    certificate = context.auth_context()
    names = [
        name.decode("utf-8", "replace")
        for field in ("x509_subject_alternative_name", "x509_common_name")
        for name in certificate.get(field, ())
    ]
    for name in names:
        if name in roles:
            return Caller(name, roles[name])
    return Caller(names[0] if names else "", SHOP)
