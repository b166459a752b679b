"""Checks and builds a release: `make release`. Nothing here publishes anything."""
