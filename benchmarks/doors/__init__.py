"""Ask the same question through every door, and count the answers that agree."""
