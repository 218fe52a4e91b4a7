"""Inference and training memory, including the exact size of every tensor that is live at the peak."""
