"""Prints checks and statistics on standard output, and determines the exit code."""

import sys
from collections.abc import Mapping

from data_gen.quality.audit import Audit, difficulty
from data_gen.quality.checks import Check, statistics, validate
from data_gen.quality.summary import Summary


def all_checks(summary: Summary, audited: Audit | None, ratios: Mapping[str, float] | None) -> list[Check]:
    """Return every check that applies to a file."""
    return [*validate(summary, ratios), *(difficulty(audited, ratios) if audited else ())]


def print_findings(command: str, summary: Summary, checks: list[Check], audited: Audit | None) -> int:
    """Print statistics, audit and checks; return 1 if a check failed, else 0."""
    for line in statistics(summary):
        print(line)
    if audited:
        strongest = sorted(audited.column_auc.items(), key=lambda item: -item[1])[:5]
        print(f"audit of {audited.rows:,} rows; strongest columns: " + ", ".join(f"{n} {v:.3f}" for n, v in strongest))
    failed = [check for check in checks if not check.passed]
    for check in checks:
        print(f"{'ok  ' if check.passed else 'FAIL'} {check.name}{': ' + check.finding if check.finding else ''}")
    for check in failed:
        print(f"{command}: check failed: {check.name}: {check.finding}", file=sys.stderr)
    return 1 if failed else 0
