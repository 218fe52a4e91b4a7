"""Whisper's encoder under ``model.audio_tower``, and the projectors of Qwen2-Audio, Audio Flamingo, Voxtral and MOSS."""

AUDIO = "model.audio_tower"
LAYER = f"{AUDIO}.layers.{{i}}"
FRONT = f"""
{AUDIO}.conv1.weight <- conv1.w
{AUDIO}.conv1.bias <- conv1.b
{AUDIO}.conv2.weight <- conv2.w
{AUDIO}.conv2.bias <- conv2.b
"""
ATTENTION = f"""
{LAYER}.self_attn.q_proj.weight <- attention.wq | audio
{LAYER}.self_attn.q_proj.bias <- attention.bq | audio
{LAYER}.self_attn.k_proj.weight <- attention.wk | audio
{LAYER}.self_attn.k_proj.bias <- attention.bk | audio
{LAYER}.self_attn.v_proj.weight <- attention.wv | audio
{LAYER}.self_attn.v_proj.bias <- attention.bv | audio
{LAYER}.self_attn.out_proj.weight <- attention.wo | audio
{LAYER}.self_attn.out_proj.bias <- attention.bo | audio
"""
NORMS = f"""
{LAYER}.self_attn_layer_norm.weight <- sublayer0.pre_norm.w | audio
{LAYER}.self_attn_layer_norm.bias <- sublayer0.pre_norm.b | audio
{LAYER}.final_layer_norm.weight <- sublayer1.pre_norm.w | audio
{LAYER}.final_layer_norm.bias <- sublayer1.pre_norm.b | audio
"""
MLP = f"""
{LAYER}.fc1.weight <- mlp.wu | audio
{LAYER}.fc1.bias <- mlp.bu | audio
{LAYER}.fc2.weight <- mlp.wd | audio
{LAYER}.fc2.bias <- mlp.bd | audio
"""
OUTER = f"""
{AUDIO}.embed_positions.weight <- position.w | audio
{AUDIO}.layer_norm.weight <- post_norm.w | audio
{AUDIO}.layer_norm.bias <- post_norm.b | audio
"""
PROJECTOR = "model.multi_modal_projector"
PROJECTORS = f"""
{PROJECTOR}.linear.weight <- projector.w
{PROJECTOR}.linear.bias <- projector.b
{PROJECTOR}.linear_1.weight <- projector_in.w
{PROJECTOR}.linear_1.bias <- projector_in.b
{PROJECTOR}.linear_2.weight <- projector_out.w
{PROJECTOR}.linear_2.bias <- projector_out.b
{PROJECTOR}.norm.weight <- projector_norm.w
{PROJECTOR}.norm.bias <- projector_norm.b
"""
BLOCKS = ATTENTION + NORMS + MLP
TEXT = FRONT + BLOCKS + OUTER + PROJECTORS
