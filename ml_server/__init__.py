"""The scorer: features, training, evaluation, and the gRPC service of the model."""

import runtime  # noqa: F401  chooses the experiments of gRPC before that is loaded
