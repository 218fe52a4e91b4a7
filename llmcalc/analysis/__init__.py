"""How quantities vary, compare, derive and reach targets."""
