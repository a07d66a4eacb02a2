"""What every process here shares: settings, logs, errors, serving, and the contract read from its own descriptors."""

from runtime.process.openmp import let_threads_sleep
from runtime.rpc.core import choose_experiments

choose_experiments()
let_threads_sleep()
