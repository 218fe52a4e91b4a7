"""The algebra: axes, equations, closed forms, declarations, architectures. Standard library only."""
