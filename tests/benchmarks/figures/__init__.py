"""One figure of the table, one module: each has ``measure(field)``."""
