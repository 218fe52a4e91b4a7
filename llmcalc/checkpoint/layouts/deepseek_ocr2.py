"""DeepSeek-OCR 2: SAM's tower, a language model's blocks behind it, and their projector."""

from .clip import PROJECTOR
from .got_ocr2 import SAM, VISION

LAYER = f"{VISION}.vision_encoder.layers.{{i}}"
TEXT = f"""
{VISION}.sam_encoder.proj.conv1.weight <- downsample_in.w
{VISION}.sam_encoder.proj.conv2.weight <- downsample_out.w
{VISION}.query_768_resolution.weight <- queries768.w
{VISION}.query_1024_resolution.weight <- queries1024.w
{LAYER}.self_attn.q_proj.weight <- attention.wq | tower
{LAYER}.self_attn.q_proj.bias <- attention.bq | tower
{LAYER}.self_attn.k_proj.weight <- attention.wk | tower
{LAYER}.self_attn.k_proj.bias <- attention.bk | tower
{LAYER}.self_attn.v_proj.weight <- attention.wv | tower
{LAYER}.self_attn.v_proj.bias <- attention.bv | tower
{LAYER}.self_attn.o_proj.weight <- attention.wo | tower
{LAYER}.mlp.gate_proj.weight <- mlp.wg | tower
{LAYER}.mlp.up_proj.weight <- mlp.wu | tower
{LAYER}.mlp.down_proj.weight <- mlp.wd | tower
{LAYER}.input_layernorm.weight <- sublayer0.pre_norm.w | tower
{LAYER}.post_attention_layernorm.weight <- sublayer1.pre_norm.w | tower
{VISION}.vision_encoder.norm.weight <- post_norm.w | tower
{PROJECTOR}.weight <- projector.w
{PROJECTOR}.bias <- projector.b
model.view_separator <- separator.w | flat
""" + SAM.replace(VISION, f"{VISION}.sam_encoder")
