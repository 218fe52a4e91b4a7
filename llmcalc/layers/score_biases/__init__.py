"""Position biases of attention scores, one per file. Each has a NumPy model in ``twins/score_biases/``."""
