"""Chipster as the subject of a rehearsal: its schemas, and a seed that looks like a server's data and hurts."""
