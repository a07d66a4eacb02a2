"""Who makes a call: by API key, by client certificate, or as the local user of a service without either."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from runtime.access.caller import ADMIN, SHOP, Caller
from runtime.access.forwarding import is_forwarded_from_elsewhere
from runtime.access.keys import ApiKeys, presented_key
from runtime.access.loopback import is_loopback
from runtime.errors import Unauthenticated

LOCAL_USER = Caller("", ADMIN)
"""A caller on this machine, of a service that has no keys: a laptop's user, who owns the ledger's file as well."""
ANONYMOUS = Caller("", SHOP)
"""A caller from elsewhere, of a service that was opened with --insecure: the least role."""
_PEER = re.compile(r"ipv[46]:(.*):\d+")


class Authenticator:
    """Finds the caller of each call.

    With keys, the key decides. Without keys, a client certificate gets the role that `certificate_roles` maps its name to,
    and otherwise the least role. Without both, only callers on this machine are served; `insecure` admits others with the
    least role.
    """

    def __init__(
        self,
        keys: ApiKeys | None = None,
        certificate_roles: Mapping[str, str] | None = None,
        *,
        insecure: bool = False,
    ) -> None:
        """`certificate_roles` is None where callers show no certificate."""
        self._keys, self._certificate_roles, self._insecure = keys, certificate_roles, insecure

    def caller_of(self, headers: Mapping[str, str], context: Any) -> Caller:
        """Return the caller. Raises Unauthenticated.

        Args:
            headers: text metadata of the call, names in lower case.
            context: the call's grpc.aio.ServicerContext.

        """
        if self._keys is not None:
            return _key_holder(headers, self._keys)
        if not _is_local(context, certified=self._certificate_roles is not None):
            if not self._insecure:
                raise Unauthenticated("an API key is needed, and this service has none: set its ..._API_KEYS file")
            return ANONYMOUS
        if self._certificate_roles is not None:
            return _certificate_holder(context, self._certificate_roles)
        return LOCAL_USER


def _key_holder(headers: Mapping[str, str], keys: ApiKeys) -> Caller:
    key = presented_key(headers)
    if not key:
        raise Unauthenticated("an API key is needed: send it as x-api-key")
    holder = keys.holder_of(key)
    if holder is None:
        raise Unauthenticated("this API key is not known")
    return holder


def _is_local(context: Any, *, certified: bool) -> bool:
    """Return whether a call comes from this machine, or by a certificate, and no proxy passed it on from elsewhere."""
    if not certified:
        match = _PEER.fullmatch(context.peer())
        if match and not is_loopback(unquote(match[1])):
            return False
    # Of several such headers gRPC keeps the last, which the nearest proxy wrote.
    return not is_forwarded_from_elsewhere(context.invocation_metadata() or ())


def _certificate_holder(context: Any, roles: Mapping[str, str]) -> Caller:
    """Return the caller that a verified client certificate names: by its alternative names, then by its common name."""
    found = context.auth_context()
    names = [
        name.decode("utf-8", "replace")
        for field in ("x509_subject_alternative_name", "x509_common_name")
        for name in found.get(field, ())
    ]
    for name in names:
        if name in roles:
            return Caller(name, roles[name])
    return Caller(names[0] if names else "", SHOP)
