"""The contract, written from the code and checked against it: openapi.yaml and docs/api.md.

openapi.py    the document, from the routes
schemas.py    the JSON schemas in it; examples.py: bodies that a test sends
reference.py  docs/api.md, from the document
"""
