"""One file a stage of ``colour-train``."""
