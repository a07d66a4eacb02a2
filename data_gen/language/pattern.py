"""Pattern: one kind of order, declared as data."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from contract.abuse_types import ABUSE_TYPES, ALL_TYPES
from data_gen.language.distributions import Distribution, Mix
from data_gen.language.timeline import Week
from data_gen.language.variables import LATENT, NODES, domain_of

TIERS = {"easy": 0.3, "medium": 0.5, "hard": 0.2}


class PatternError(ValueError):
    """An invalid declaration; the message names pattern and node."""


@dataclass(frozen=True)
class Pattern:
    """One kind of order: a distribution for each node.

    `share` is its fraction of its type's rows; `tier` is how hard it is to detect (n/a if it is not abuse).
    """

    name: str
    abuse_type: str
    tier: str
    share: float
    week: Week
    nodes: Mapping[str, Distribution]

    @property
    def is_abuse(self) -> bool:
        """Whether rows of this pattern are labelled abuse."""
        return self.abuse_type in ABUSE_TYPES

    def but(
        self,
        name: str,
        *,
        abuse_type: str | None = None,
        tier: str | None = None,
        share: float | None = None,
        week: Week | None = None,
        **nodes: Distribution,
    ) -> "Pattern":
        """Return this pattern under another name with some nodes replaced; a declaration lists only differences."""
        return replace(
            self,
            name=name,
            abuse_type=abuse_type or self.abuse_type,
            tier=tier or self.tier,
            share=self.share if share is None else share,
            week=week or self.week,
            nodes={**self.nodes, **nodes},
        )

    def faded(self, towards: "Pattern", shown: float) -> "Pattern":
        """Return this pattern with each differing node drawn from it with probability `shown`, else from `towards`."""
        return replace(
            self,
            nodes={
                name: own if own == towards.nodes[name] else Mix(shown, own, towards.nodes[name])
                for name, own in self.nodes.items()
            },
        )


def check_nodes(pattern: Pattern) -> None:
    """Raise PatternError if a pattern lacks a node, has an unknown node, or has an unknown type."""
    known = {*LATENT, *NODES}
    if unknown := sorted(set(pattern.nodes) - known):
        raise PatternError(f"pattern {pattern.name}, node {unknown[0]}: there is no such column")
    if missing := sorted(known - set(pattern.nodes)):
        raise PatternError(f"pattern {pattern.name}, node {missing[0]}: it is not declared")
    if pattern.abuse_type not in ALL_TYPES:
        raise PatternError(
            f"pattern {pattern.name}: abuse type {pattern.abuse_type!r} is not one of {', '.join(ALL_TYPES)}"
        )
    for name, distribution in pattern.nodes.items():
        for parent in sorted(distribution.parents()):
            try:
                domain_of(parent)
            except ValueError as error:
                raise PatternError(f"pattern {pattern.name}, node {name}: {error}") from error
