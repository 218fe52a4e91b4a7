"""Vision encoders beside the mainstream ones, and vision-language models built on them."""
