"""The same job, written the way the documentation of other stream libraries shows."""
