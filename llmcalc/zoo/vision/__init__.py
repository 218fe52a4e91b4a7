"""Less common vision encoders, and vision-language models that use them."""
