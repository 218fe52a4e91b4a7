"""Mamba: x and z, and Δ, B and C, projected by one matrix each."""

PREFIX = "backbone."
MIXER = """
{p}.in_proj.weight <- mamba.wx mamba.wz
{p}.in_proj.bias <- mamba.bx mamba.bz
{p}.conv1d.weight <- mamba.conv
{p}.conv1d.bias <- mamba.conv_b
{p}.x_proj.weight <- mamba.w_dt mamba.w_B mamba.w_C
{p}.dt_proj.weight <- mamba.dt_up
{p}.dt_proj.bias <- mamba.dt_b
{p}.A_log <- mamba.A_log
{p}.D <- mamba.D
{p}.dt_layernorm.weight <- mamba.dt_norm
{p}.b_layernorm.weight <- mamba.B_norm
{p}.c_layernorm.weight <- mamba.C_norm
{p}.out_proj.weight <- mamba.wo
{p}.out_proj.bias <- mamba.bo
"""
OUTER = """
backbone.embeddings.weight <- token.w
backbone.layers.{i}.norm.weight <- sublayer0.pre_norm.w
backbone.norm_f.weight <- norm.w
lm_head.weight <- head.w
"""
TEXT = OUTER + MIXER.replace("{p}", "backbone.layers.{i}.mixer")
