"""Lies here so that pytest puts this folder on the path: tests in the folders below share the builders beside it."""
