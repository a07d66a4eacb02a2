"""What tests, bench and chaos share: processes, waiting, load, hostile inputs."""
