"""The language of pattern declarations: distributions, domains, variables, weeks."""

from data_gen.language.distributions import (
    By,
    Choice,
    Each,
    Frequencies,
    Geometric,
    LogNormal,
    Mix,
    Poisson,
    SameAs,
    Uniform,
    always,
    yes,
)

__all__ = [
    "By", "Choice", "Each", "Frequencies", "Geometric", "LogNormal", "Mix", "Poisson", "SameAs", "Uniform", "always", "yes",
]  # fmt: skip
