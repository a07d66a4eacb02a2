"""Recognises columns that are known only after the decision: outcomes, disputes, states of orders. Pure."""

import re
from typing import Any, Final

from ml_server.data.suggestion.aliases import AFTERWARDS, simple
from ml_server.data.suggestion.guess import as_text
from ml_server.data.values import Series

_STATES: Final = re.compile(
    r"charge.?back|charged.?back|refund|dispute|(?:^|[^a-z])fraud|fraudulent|abuse|return(?:ed)?(?:$|[^a-z])|revers(?:ed|al)"
    r"|(?:lost|won)(?:$|[^a-z])|written.?off|blocked|erstattet|storniert|cancel",
    re.IGNORECASE,
)
_STATE_NAMES: Final = re.compile(
    r"(^|_)(order|payment|item|transaction|case|financial|fulfil?l?ment|shipment|review)_?(status|state)$"
    r"|^(status|state|type|outcome|tags?|resolution|result|decision)$|(^|_)(cancell?ed|fulfilled|shipped|delivered|closed)_at$"
)
_MAX_STATES: Final = 50


def outcome_reason(column: str, series: "Series[Any]") -> str | None:
    """Return why a column seems to be filled only after the decision, or None. Names decide first, then values."""
    name = simple(column)
    if any(word in name for word in AFTERWARDS):
        return "by its name it is known only after the outcome; add it if the shop knows it at checkout"
    texts = as_text(series)
    values = texts.drop_duplicates()
    if texts.empty or len(values) > _MAX_STATES:
        return None
    later = values[values.str.contains(_STATES, na=False)]
    if 0 < len(later) < len(values) or (len(later) and _STATE_NAMES.search(name)):
        return f"its values, like {str(later.iloc[0])[:40]!r}, are known only after the outcome"
    return None


def is_state(column: str) -> bool:
    """Return whether a column's name is that of a state which changes after checkout."""
    return bool(_STATE_NAMES.search(simple(column)))
