"""Code that all processes share: settings, logs, errors, gRPC and HTTP servers, and validation by the contract."""

from runtime.process.openmp import set_passive_wait
from runtime.rpc.grpc_tuning import configure_grpc

configure_grpc()
set_passive_wait()
