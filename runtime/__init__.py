"""What every process here shares: settings, logs, errors, serving, and the contract read from its own descriptors."""
