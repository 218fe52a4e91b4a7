"""Memory of serving and of a training step: exact bytes of every tensor that is live at the peak."""
