"""Inference and training memory, with the exact bytes of every tensor that is live at the peak."""
