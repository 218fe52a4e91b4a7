"""Less common vision encoders and the vision-language models that use them."""
