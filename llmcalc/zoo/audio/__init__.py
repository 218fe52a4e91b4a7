"""Speech and audio: encoders, transcribers and audio-language models."""
