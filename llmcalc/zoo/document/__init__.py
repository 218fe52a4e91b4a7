"""Document understanding models for text with bounding boxes, page layouts or markup."""
