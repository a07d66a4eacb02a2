"""The console: server-rendered web pages for reviewers. It is an ordinary client of the gRPC services."""
