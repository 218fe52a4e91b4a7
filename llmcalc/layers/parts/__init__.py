"""Layer parts, such as rotary positions. A part is a record used as a field by several layer kinds."""
