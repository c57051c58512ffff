"""Ways to back up and restore, a module each; scenarios pick one."""
