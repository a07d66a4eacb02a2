"""The words that patterns are declared in: distributions, domains, variables, weeks."""
