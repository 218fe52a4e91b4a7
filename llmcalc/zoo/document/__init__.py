"""Document understanding models for text with boxes, layouts and markup."""
