"""The types of orders that labels tell apart. The kinds of abuse are declared once, as fields of AbuseTypeScores."""

from typing import Final

from generated.vouch.v1.scoring_service_pb2 import AbuseTypeScores

HONEST_TYPES: Final = ("legitimate", "suspicious_but_legitimate")
"""Honest orders, and honest ones that look like abuse."""
ABUSE_TYPES: Final = tuple(field.name for field in AbuseTypeScores.DESCRIPTOR.fields)
ALL_TYPES: Final = (*HONEST_TYPES, *ABUSE_TYPES)
"""Values of the column `abuse_type`, in the order in which they are shown."""


def likeliest(scores: AbuseTypeScores) -> str:
    """The kind of abuse that is most probable; the first of several."""
    return max(ABUSE_TYPES, key=lambda name: float(getattr(scores, name)))
