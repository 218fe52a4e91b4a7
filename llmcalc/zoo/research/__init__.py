"""Text layers and model families that no shipped preset uses."""
