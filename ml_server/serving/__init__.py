"""ScoringService and what keeps its model current."""
