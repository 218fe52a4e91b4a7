"""Time of one step of a serving engine."""
