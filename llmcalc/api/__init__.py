"""The public functions, one file per verb; Python and the command line share their defaults."""
