"""VibeVoice-ASR."""

from ..audio_encoders.vibevoice import vibevoice_asr

__all__ = ["vibevoice_asr"]
