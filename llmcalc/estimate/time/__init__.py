"""Time of one step on a GPU, derived from the equations of a model and measured kernels.

``operations.py`` reads the operations of a step from the equations, and ``step.py`` adds up their times.
"""
