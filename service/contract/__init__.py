"""The contract, written from the code and checked against it: openapi.yaml and docs/api.md."""
