"""The public functions, one file per verb, with defaults shared by Python and the command line."""
