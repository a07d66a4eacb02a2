"""Values of the label `abuse_type`. The kinds of abuse are declared once, as fields of AbuseTypeScores."""

from typing import Final

from generated.vouch.v1.scoring_service_pb2 import AbuseTypeScores

HONEST_TYPES: Final = ("legitimate", "suspicious_but_legitimate")
"""Orders that are not abuse: ordinary ones, and ones that look like abuse."""
ABUSE_TYPES: Final = tuple(field.name for field in AbuseTypeScores.DESCRIPTOR.fields)
ALL_TYPES: Final = (*HONEST_TYPES, *ABUSE_TYPES)
"""Values of the column `abuse_type`, in display order."""


def likeliest(scores: AbuseTypeScores) -> str:
    """Return the most probable kind of abuse; the first one on a tie."""
    return max(ABUSE_TYPES, key=lambda name: float(getattr(scores, name)))
