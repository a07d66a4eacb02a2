"""ScoringService, and the job that keeps its model current."""
