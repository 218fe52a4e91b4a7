"""Importers for Hugging Face configs, GGUF files and weight folders."""
