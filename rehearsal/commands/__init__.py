"""One module for each command of `rehearsal`: its options and what it does, loaded when it is asked for."""
