"""How a user's words and files are read: models, GPUs, number formats, settings and tables."""
