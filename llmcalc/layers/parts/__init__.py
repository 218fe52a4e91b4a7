"""Parts of layers, such as rotary positions. A part is a record that several layer kinds use as a field."""
