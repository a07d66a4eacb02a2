"""The agent: scores through the scorer, applies the policy, keeps every decision, opens cases for people."""

import runtime  # noqa: F401  chooses the experiments of gRPC before that is loaded
