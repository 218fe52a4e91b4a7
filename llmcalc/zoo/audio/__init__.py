"""Audio and speech models: encoders, transcription models and audio-language models."""
