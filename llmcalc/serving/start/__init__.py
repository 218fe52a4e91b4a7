"""What an engine does before the first request: memory of each rank, cache, states and weights."""
