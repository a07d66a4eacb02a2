"""OpenAPI documents, made from the contract."""
