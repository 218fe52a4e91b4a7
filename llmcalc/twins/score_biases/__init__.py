"""NumPy models of the position biases of attention scores, with the names of ``layers/score_biases/``.

Each module has ``weights``, ``scores`` (the added scores) and, if these are scaled like the products of queries and
keys, ``BEFORE_SCALING = True``.
"""
