"""Reads architectures from external formats: Hugging Face configs, GGUF files and weight folders."""
