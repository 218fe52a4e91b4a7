"""VideoLLaMA 3's tower and projector."""

from .clip import encoder

TEXT = """
model.projector.readout.0.weight <- projector_in.w
model.projector.readout.0.bias <- projector_in.b
model.projector.readout.2.weight <- projector_out.w
model.projector.readout.2.bias <- projector_out.b
""" + encoder("model.vision_model")
