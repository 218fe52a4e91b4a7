"""A FastConformer at any place, of a stack of one role or name."""


def conformer(place: str, stack: str) -> str:
    """The rules of its tensors."""
    layer, conv = f"{place}layers.{{i}}", f"{place}layers.{{i}}.conv"
    names = ("q_proj", "wq bq"), ("k_proj", "wk bk"), ("v_proj", "wv bv"), ("o_proj", "wo bo")
    lines = [
        f"{place}subsampling.layers.{{t}}.weight <- plane.w",
        f"{place}subsampling.layers.{{t}}.bias <- plane.b",
        f"{place}subsampling.linear.weight <- plane_out.w",
        f"{place}subsampling.linear.bias <- plane_out.b",
        f"{layer}.self_attn.relative_k_proj.weight <- distance_attention.wr",
        f"{layer}.self_attn.bias_u <- distance_attention.u",
        f"{layer}.self_attn.bias_v <- distance_attention.w",
        f"{layer}.norm_out.weight <- end/norm.w",
        f"{layer}.norm_out.bias <- end/norm.b",
        f"{conv}.pointwise_conv1.weight <- conv_module.wv conv_module.wg",
        f"{conv}.pointwise_conv1.bias <- conv_module.bv conv_module.bg",
        f"{conv}.depthwise_conv.weight <- conv_module.conv",
        f"{conv}.depthwise_conv.bias <- conv_module.conv_b",
        f"{conv}.norm.weight <- conv_module.norm",
        f"{conv}.norm.bias <- conv_module.norm_b",
        f"{conv}.norm.running_mean <- conv_module.mean",
        f"{conv}.norm.running_var <- conv_module.variance",
        f"{conv}.pointwise_conv2.weight <- conv_module.wo",
        f"{conv}.pointwise_conv2.bias <- conv_module.bo",
    ]
    for stored, tensors in names:
        weight, bias = tensors.split()
        lines += [
            f"{layer}.self_attn.{stored}.weight <- distance_attention.{weight}",
            f"{layer}.self_attn.{stored}.bias <- distance_attention.{bias}",
        ]
    for stored, name in (("feed_forward1", "start"), ("feed_forward2", "end")):
        lines += [
            f"{layer}.{stored}.linear1.weight <- {name}/mlp.wu",
            f"{layer}.{stored}.linear1.bias <- {name}/mlp.bu",
            f"{layer}.{stored}.linear2.weight <- {name}/mlp.wd",
            f"{layer}.{stored}.linear2.bias <- {name}/mlp.bd",
            f"{layer}.norm_{stored}.weight <- {name}/pre_norm.w",
            f"{layer}.norm_{stored}.bias <- {name}/pre_norm.b",
        ]
    for stored, name in (("norm_self_att", "attention"), ("norm_conv", "conv")):
        lines += [
            f"{layer}.{stored}.weight <- {name}/pre_norm.w",
            f"{layer}.{stored}.bias <- {name}/pre_norm.b",
        ]
    return "".join(f"{line} | {stack}\n" for line in lines)
