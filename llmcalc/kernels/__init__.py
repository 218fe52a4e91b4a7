"""Operations of a step, and the time of their kernels and collectives."""
