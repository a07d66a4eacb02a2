"""The agent: gets scores from the scorer, applies the policy, records decisions, and opens cases for reviewers."""

import runtime  # noqa: F401  configures gRPC before it is imported
