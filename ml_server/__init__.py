"""The scorer: features, training, evaluation, and the gRPC service that serves the model."""
