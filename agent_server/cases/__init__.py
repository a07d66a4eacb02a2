"""Cases: orders that need a person, their claims, verdicts and blind reviews."""
