"""What Triton serves: the repository's layout, configurations, fingerprints, and the Python that runs inside it."""
