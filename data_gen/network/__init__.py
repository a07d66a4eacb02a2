"""The Bayesian network of the patterns: compiled tables, the sampler, and the exact posterior."""
