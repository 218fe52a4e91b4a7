"""Training: memory, time and money of a run."""
