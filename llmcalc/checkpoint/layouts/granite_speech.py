"""Granite Speech: a Conformer under ``model.encoder``, a Q-Former under ``model.projector``."""

LAYER = "model.encoder.layers.{i}"
_FEED = """
{l}.{m}.pre_norm.weight <- {s}/pre_norm.w
{l}.{m}.pre_norm.bias <- {s}/pre_norm.b
{l}.{m}.up_proj.weight <- {s}/mlp.wu
{l}.{m}.up_proj.bias <- {s}/mlp.bu
{l}.{m}.down_proj.weight <- {s}/mlp.wd
{l}.{m}.down_proj.bias <- {s}/mlp.bd
"""
FEEDS = "".join(
    _FEED.replace("{l}", LAYER).replace("{m}", stored).replace("{s}", name)
    for stored, name in (("ff1", "start"), ("ff2", "end"))
)
ENCODER = f"""
model.encoder.input_linear.weight <- in.w
model.encoder.input_linear.bias <- in.b
{LAYER}.attn.pre_norm.weight <- attention/pre_norm.w | audio
{LAYER}.attn.pre_norm.bias <- attention/pre_norm.b | audio
{LAYER}.attn.to_q.weight <- context_attention.wq | audio
{LAYER}.attn.to_kv.weight <- context_attention.wk context_attention.wv | audio
{LAYER}.attn.to_out.weight <- context_attention.wo | audio
{LAYER}.attn.to_out.bias <- context_attention.bo | audio
{LAYER}.attn.rel_pos_emb.weight <- context_attention.relative
{LAYER}.conv.norm.weight <- conv/pre_norm.w
{LAYER}.conv.norm.bias <- conv/pre_norm.b
{LAYER}.conv.up_conv.weight <- conv_module.wv conv_module.wg
{LAYER}.conv.up_conv.bias <- conv_module.bv conv_module.bg
{LAYER}.conv.depth_conv.conv.weight <- conv_module.conv
{LAYER}.conv.batch_norm.weight <- conv_module.norm
{LAYER}.conv.batch_norm.bias <- conv_module.norm_b
{LAYER}.conv.batch_norm.running_mean <- conv_module.mean
{LAYER}.conv.batch_norm.running_var <- conv_module.variance
{LAYER}.conv.down_conv.weight <- conv_module.wo
{LAYER}.conv.down_conv.bias <- conv_module.bo
{LAYER}.post_norm.weight <- end/norm.w
{LAYER}.post_norm.bias <- end/norm.b
model.encoder.out.weight <- letters.w
model.encoder.out.bias <- letters.b
model.encoder.out_mid.weight <- back.w
model.encoder.out_mid.bias <- back.b
"""
QUERIES = "model.projector.qformer.encoder.layer.{i}"
_LOOKS = """
{q}.{m}.attention.query.weight <- {s}/context_attention.wq | projector
{q}.{m}.attention.query.bias <- {s}/context_attention.bq | projector
{q}.{m}.attention.key.weight <- {s}/context_attention.wk | projector
{q}.{m}.attention.key.bias <- {s}/context_attention.bk | projector
{q}.{m}.attention.value.weight <- {s}/context_attention.wv | projector
{q}.{m}.attention.value.bias <- {s}/context_attention.bv | projector
{q}.{m}.output.dense.weight <- {s}/context_attention.wo | projector
{q}.{m}.output.dense.bias <- {s}/context_attention.bo | projector
{q}.{m}.output.LayerNorm.weight <- {s}/norm.w | projector
{q}.{m}.output.LayerNorm.bias <- {s}/norm.b | projector
"""
LOOKS = "".join(
    _LOOKS.replace("{q}", QUERIES).replace("{m}", stored).replace("{s}", name)
    for stored, name in (("attention", "attention"), ("crossattention", "cross"))
)
PROJECTOR = f"""
model.projector.query <- queries.w | row
model.projector.qformer.layernorm.weight <- norm.w | projector
model.projector.qformer.layernorm.bias <- norm.b | projector
{QUERIES}.intermediate_query.dense.weight <- mlp.wu | projector
{QUERIES}.intermediate_query.dense.bias <- mlp.bu | projector
{QUERIES}.output_query.dense.weight <- mlp.wd | projector
{QUERIES}.output_query.dense.bias <- mlp.bd | projector
{QUERIES}.output_query.LayerNorm.weight <- mlp/norm.w | projector
{QUERIES}.output_query.LayerNorm.bias <- mlp/norm.b | projector
model.projector.linear.weight <- projector.w
model.projector.linear.bias <- projector.b
"""
TEXT = ENCODER + FEEDS + PROJECTOR + LOOKS
