"""Feedback on decisions: labels, outcomes, golden cases, and the quality of reviewers."""
