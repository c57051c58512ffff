"""The server's own backup: its names, lists and packages; read, written, verified and restored."""
