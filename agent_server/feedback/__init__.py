"""What comes back: labels, outcomes, and how well reviewers review."""
