"""Performance: ratios of two things measured in the same run, on the real servers. ``make bench``."""
