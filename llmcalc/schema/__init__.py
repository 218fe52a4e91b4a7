"""Reading, validation and writing of presets."""
