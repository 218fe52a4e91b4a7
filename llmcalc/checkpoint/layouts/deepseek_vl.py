"""DeepSeek-VL's tower and aligner."""

from .clip import encoder

TEXT = """
model.aligner.linear1.weight <- projector_in.w
model.aligner.linear1.bias <- projector_in.b
model.aligner.linear2.weight <- projector_out.w
model.aligner.linear2.bias <- projector_out.b
""" + encoder("model.vision_model")
