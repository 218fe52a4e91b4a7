"""Memory of a model on GPUs, and the layouts, formats and workloads that fit."""
