"""The scorer: features, training, evaluation, and the gRPC service that serves the model."""

import runtime  # noqa: F401  chooses the experiments of gRPC before that is loaded
