"""REST bridge on ports 8000 and 8001. It converts JSON names and formats; the structure is the gRPC contract's."""

import runtime  # noqa: F401  configures gRPC before it is imported
