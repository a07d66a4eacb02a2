"""What every process here shares: settings, logs, errors, serving, and the contract read from its own descriptors."""

from runtime.process.openmp import let_threads_sleep
from runtime.rpc.grpc_tuning import configure_grpc

configure_grpc()
let_threads_sleep()
