"""Layer parts, such as rotary positions. A part is a record that several layer kinds have as a field."""
