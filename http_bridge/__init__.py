"""The documented REST on ports 8000 and 8001: spelling is changed here, structure never."""

import runtime  # noqa: F401  chooses the experiments of gRPC before that is loaded
