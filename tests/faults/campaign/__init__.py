"""``python -m tests.faults.campaign``: every fault against a real stack under traffic, then a random sequence."""
