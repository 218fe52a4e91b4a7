"""Mamba-2: z, x, B, C and Δ from one matrix, one convolution over x, B and C."""

from .mamba import OUTER

PREFIX = "backbone."

MIXER = """
{p}.in_proj.weight <- mamba2.wz mamba2.wx mamba2.w_B mamba2.w_C mamba2.w_dt
{p}.in_proj.bias <- mamba2.bz mamba2.bx mamba2.b_B mamba2.b_C mamba2.b_dt
{p}.conv1d.weight <- mamba2.conv_x mamba2.conv_B mamba2.conv_C
{p}.conv1d.bias <- mamba2.conv_x_b mamba2.conv_B_b mamba2.conv_C_b
{p}.dt_bias <- mamba2.dt_b
{p}.A_log <- mamba2.A_log
{p}.D <- mamba2.D
{p}.norm.weight <- mamba2.norm
{p}.out_proj.weight <- mamba2.wo
{p}.out_proj.bias <- mamba2.bo
"""
TEXT = OUTER + MIXER.replace("{p}", "backbone.layers.{i}.mixer")
