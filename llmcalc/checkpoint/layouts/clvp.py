"""CLVP: two encoders that are compared, what a voice is given by, and TorToiSe's decoder."""

from .beside import beside, of_stack
from .clvp_decoder import TEXT as DECODER
from .clvp_encoder import TEXT as ENCODER

ENCODERS = "".join(of_stack(name, f"{name}.", ENCODER) for name in ("text_encoder_model", "speech_encoder_model"))
SAID = "".join(f"speech_decoder_model.{line}\n" for line in DECODER.splitlines() if line)
COMPARED = "logit_scale <- outputs/stored.t | flat comparison\n"
TEXT = ENCODERS + beside("conditioning_encoder", "conditioning_encoder.") + COMPARED + SAID
