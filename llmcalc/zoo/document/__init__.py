"""Document and page understanding: text with boxes, layouts and markup."""
