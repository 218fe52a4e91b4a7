"""XLM and FlauBERT: lists of attentions, norms and feed-forward layers side by side."""

PREFIX = "transformer."
NORMS = "".join(
    f"""
transformer.layer_norm{number}.{{i}}.weight <- {kind}.{norm}.w
transformer.layer_norm{number}.{{i}}.bias <- {kind}.{norm}.b
"""
    for number, kind in ((1, "attention"), (2, "mlp"))
    for norm in ("norm", "pre_norm")
)
TEXT = (
    """
transformer.position_embeddings.weight <- position.w
transformer.lang_embeddings.weight <- language.w
transformer.embeddings.weight <- token.w
transformer.layer_norm_emb.weight <- norm.w
transformer.layer_norm_emb.bias <- norm.b
transformer.attentions.{i}.q_lin.weight <- attention.wq
transformer.attentions.{i}.q_lin.bias <- attention.bq
transformer.attentions.{i}.k_lin.weight <- attention.wk
transformer.attentions.{i}.k_lin.bias <- attention.bk
transformer.attentions.{i}.v_lin.weight <- attention.wv
transformer.attentions.{i}.v_lin.bias <- attention.bv
transformer.attentions.{i}.out_lin.weight <- attention.wo
transformer.attentions.{i}.out_lin.bias <- attention.bo
transformer.ffns.{i}.lin1.weight <- mlp.wu
transformer.ffns.{i}.lin1.bias <- mlp.bu
transformer.ffns.{i}.lin2.weight <- mlp.wd
transformer.ffns.{i}.lin2.bias <- mlp.bd
pred_layer.proj.weight <- head.w
pred_layer.proj.bias <- head.b
"""
    + NORMS
)
