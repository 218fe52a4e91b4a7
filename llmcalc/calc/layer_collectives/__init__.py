"""Collectives that the ranks of a mesh execute in a layer, derived from the equations and their divided axes.

``sublayer.py`` follows the equations in execution order. Each rule has a module:

- ``partial_sums.py``: a contraction over a divided axis gives a partial sum on each rank, which is reduced as late as
  possible.
- ``replicated_tensors.py``: a replicated tensor that enters divided equations has a partial gradient.
- ``moved_elements.py``: a divided tensor is gathered where its elements move to other axes.
- ``experts.py``: tokens are sent to the ranks of their experts, and the outputs are sent back.
- ``sequence.py``: keys and values are exchanged between ranks with different tokens.
- ``rows.py``: statistics of divided rows, and logits over a divided vocabulary.
"""

from .sublayer import layer_collectives as layer_collectives
