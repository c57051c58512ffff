"""Proves that a Chipster server's backups really restore, or names what was lost."""

__version__ = "0.1.0"
