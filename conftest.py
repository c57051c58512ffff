"""Loads the rehearsal plugin, so that `pytest scenarios/` works in a checkout without further ado."""

pytest_plugins = ["rehearsal.plugin"]
