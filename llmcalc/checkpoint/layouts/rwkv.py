"""RWKV-4: a further norm before the first block."""

PREFIX = "rwkv."
TEXT = """
rwkv.embeddings.weight <- token.w
rwkv.blocks.0.pre_ln.weight <- embedding_norm.w
rwkv.blocks.0.pre_ln.bias <- embedding_norm.b
rwkv.blocks.{i}.ln1.weight <- sublayer0.pre_norm.w
rwkv.blocks.{i}.ln1.bias <- sublayer0.pre_norm.b
rwkv.blocks.{i}.ln2.weight <- sublayer1.pre_norm.w
rwkv.blocks.{i}.ln2.bias <- sublayer1.pre_norm.b
rwkv.blocks.{i}.attention.time_decay <- rwkv_time_mix.decay
rwkv.blocks.{i}.attention.time_first <- rwkv_time_mix.first
rwkv.blocks.{i}.attention.time_mix_key <- rwkv_time_mix.mix_k | row row
rwkv.blocks.{i}.attention.time_mix_value <- rwkv_time_mix.mix_v | row row
rwkv.blocks.{i}.attention.time_mix_receptance <- rwkv_time_mix.mix_r | row row
rwkv.blocks.{i}.attention.key.weight <- rwkv_time_mix.wk
rwkv.blocks.{i}.attention.value.weight <- rwkv_time_mix.wv
rwkv.blocks.{i}.attention.receptance.weight <- rwkv_time_mix.wr
rwkv.blocks.{i}.attention.output.weight <- rwkv_time_mix.wo
rwkv.blocks.{i}.feed_forward.time_mix_key <- rwkv_channel_mix.mix_k | row row
rwkv.blocks.{i}.feed_forward.time_mix_receptance <- rwkv_channel_mix.mix_r | row row
rwkv.blocks.{i}.feed_forward.key.weight <- rwkv_channel_mix.wk
rwkv.blocks.{i}.feed_forward.receptance.weight <- rwkv_channel_mix.wr
rwkv.blocks.{i}.feed_forward.value.weight <- rwkv_channel_mix.wv
rwkv.ln_out.weight <- norm.w
rwkv.ln_out.bias <- norm.b
head.weight <- head.w
"""
