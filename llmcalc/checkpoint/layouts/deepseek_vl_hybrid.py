"""DeepSeek-VL 7B: SigLIP's tower, SAM's beside it, and the aligner of both."""

from .clip import encoder
from .got_ocr2 import SAM, VISION

HIGH = "model.high_res_vision"
TEXT = (
    f"""
{HIGH}_neck.conv1.weight <- second_neck_in.w
{HIGH}_neck.layer_norm1.weight <- second_neck_in_norm.w
{HIGH}_neck.layer_norm1.bias <- second_neck_in_norm.b
{HIGH}_neck.conv2.weight <- second_neck_out.w
{HIGH}_neck.layer_norm2.weight <- second_neck_out_norm.w
{HIGH}_neck.layer_norm2.bias <- second_neck_out_norm.b
{HIGH}_proj.conv1.weight <- downsample_in.w
{HIGH}_proj.conv2.weight <- downsample_out.w
{HIGH}_alpha <- alpha.w
model.aligner.vision_proj.weight <- low_projector.w
model.aligner.vision_proj.bias <- low_projector.b
model.aligner.high_res_vision_proj.weight <- high_projector.w
model.aligner.high_res_vision_proj.bias <- high_projector.b
model.aligner.proj.weight <- projector.w
model.aligner.proj.bias <- projector.b
"""
    + SAM.replace(VISION, f"{HIGH}_model.vision_encoder")
    + encoder("model.vision_model")
)
