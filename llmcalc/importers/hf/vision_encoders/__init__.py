"""Vision encoders of vision-language models."""
