"""The glossary of axes: the letters of every equation, with the names that papers use.

An equation such as ``q[b q h e] = x[b q d] wq[d h e]`` speaks in these letters. *Workload* axes get their length from
what is run (batch, tokens); all others from the architecture.
"""

from __future__ import annotations

WORKLOAD: dict[str, str] = {
    "b": "sequences in the batch",
    "q": "new tokens of a sequence, in this stack",
    "k": "tokens that a query may look at: cached and new ones",
    "c": "tokens already in the cache",
    "s": "tokens of the encoder (source), cached or new",
    "n": "new tokens of the encoder (source); 0 in a decode step",
    "o": "positions whose logits are computed: all new tokens, or the last",
    "p": "patches or frames fed to a tower",
}

GLOSSARY: dict[str, tuple[str, str]] = {
    "d": ("d_model", "width of the residual stream"),
    "V": ("vocab", "rows of the token table, padding included"),
    "T": ("n_positions", "rows of a table of absolute positions, offset rows included"),
    "S": ("n_segments", "segment (token type) ids"),
    "E": ("d_embedding", "width of a factorised embedding"),
    "ar": ("adapter_rank", "rank of a correction beside a projection"),
    "na": ("n_adapters", "corrections stored side by side, of which a place uses one"),
    "i": ("d_inner", "inner width of a mixer"),
    "rank": ("gate_rank", "rank of a gate"),
    "in": ("d_in", "input width of a projection"),
    "out": ("d_out", "output width of a projection"),
    "h": ("n_heads", "query heads"),
    "g": ("n_kv_heads", "key/value heads; each serves n_heads / n_kv_heads query heads"),
    "e": ("d_head", "width of a query and key head"),
    "v": ("d_head_v", "width of a value head"),
    "r": ("rotary_dim", "width of the rotated part of a head"),
    "u": ("n_buckets", "buckets of a relative position bias"),
    "pre": ("n_prefix", "learned keys and values in front of those of the tokens"),
    "kv": ("d_prefix_kv", "keys and values of a prefix, of all layers together"),
    "src": ("d_source", "width of the stack that cross-attention looks at"),
    "Q": ("q_lora_rank", "rank of the compressed query"),
    "C": ("kv_lora_rank", "rank of the compressed key/value, which is what the cache keeps"),
    "nope": ("qk_nope_head_dim", "part of a head without position"),
    "rope": ("qk_rope_head_dim", "part of a head that carries the rotary position"),
    "qk": ("qk_head_dim", "qk_nope_head_dim + qk_rope_head_dim"),
    "QQ": ("2 q_lora_rank", "the query's latent before and after its norm, side by side"),
    "ih": ("n_index_heads", "query heads of an indexer"),
    "ie": ("d_index", "width of an indexer's query head and key"),
    "w": ("window", "keys kept by a sliding window"),
    "f": ("d_ff", "hidden width of a feed-forward layer or of one expert"),
    "x": ("n_experts", "routed experts"),
    "xz": ("n_experts_scored", "routed experts and those that return their input"),
    "j": ("top_k", "experts that one token uses"),
    "m": ("n_shared_experts", "experts that every token uses"),
    "l": ("d_latent", "width of the space that latent experts work in"),
    "N": ("d_state", "state per channel of a state-space layer"),
    "K": ("d_conv", "taps of a short convolution"),
    "Kt": ("d_conv_kept", "columns that a short convolution keeps: d_conv - 1, or d_conv as implemented"),
    "qc": ("n_conv_rows", "positions that a short convolution is computed on"),
    "qd": ("n_conv_steps", "positions that a short convolution is computed on in a decode step"),
    "ys": ("n_chunk_states", "states at the borders of the chunks, as sources"),
    "kz": ("n_block_keys", "keys that the queries of a block see"),
    "every": ("n_summarised", "tokens that one global key and value sum up"),
    "gt": ("n_global", "global tokens"),
    "wk": ("window", "keys of a chunk as long as a window"),
    "wh": ("half_window", "queries of a chunk as long as half a window"),
    "wv": ("n_chunk_values", "values that the queries of such a chunk see"),
    "taps": ("n_taps", "taps of a dense convolution"),
    "ng": ("n_gram", "streams of a token that predict the tokens behind the next one"),
    "ms": ("n_streams", "copies of a token that a layer runs on"),
    "qs": ("n_stream_rows", "new tokens of all streams"),
    "uh": ("n_relative", "buckets of a relative position bias, for all heads"),
    "kn": ("n_new_keys", "new tokens, as keys"),
    "gk": ("n_global", "global tokens, as keys"),
    "qz": ("n_chunk_rows", "new tokens, padded to whole chunks where the implementation pads"),
    "t": ("n_kept", "tokens that the next step still needs"),
    "keep": ("n_kept", "tokens that the next step still needs"),
    "R": ("dt_rank", "rank of the time-step projection"),
    "H": ("n_ssm_heads", "heads of a state-space layer"),
    "P": ("d_ssm_head", "width of a state-space head"),
    "Po": ("d_block", "channels of a block, as output of a gate"),
    "G": ("n_groups", "groups that share B and C"),
    "X": ("n_channels", "channels of a short convolution"),
    "Z": ("chunk", "tokens of a chunk in a chunked scan"),
    "zz": ("n_block_pairs", "pairs of new tokens in one chunk, in all chunks"),
    "qf": ("n_first", "new tokens in the first chunk"),
    "qn": ("n_behind_first", "new tokens behind the first chunk"),
    "ql": ("n_last", "new tokens in the last chunk"),
    "qg": ("n_merged", "positions, some of which are merged into one"),
    "qm": ("n_before_last", "new tokens before the last chunk"),
    "z": ("chunk", "tokens of a chunk in a chunked scan, as keys"),
    "y": ("n_chunks", "chunks that cover the new tokens"),
    "yt": ("n_chunk_states", "states at the borders of the chunks"),
    "kh": ("n_k_heads", "key heads of a linear attention"),
    "vh": ("n_v_heads", "value heads of a linear attention"),
    "dk": ("d_k", "width of a linear attention's key head"),
    "dv": ("d_v", "width of a linear attention's value head"),
    "O": ("order", "gates of a Hyena operator (its order)"),
    "Y": ("n_streams", "order + 1 streams of a Hyena operator"),
    "M": ("n_filters", "order - 1 long filters of a Hyena operator"),
    "F": ("d_filter", "width of the network that generates a long filter"),
    "Fo": ("d_filter", "width of the network that generates a long filter, as output"),
    "ft": ("n_fft", "points of a padded transform: twice the tokens"),
    "D": ("d_position", "features of a filter's position encoding"),
    "B": ("n_filter_layers", "hidden layers of a filter's network"),
    "one": ("1", "a single number"),
    "L": ("filter_length", "positions that a long filter is defined on"),
}

NAMES: dict[str, str] = {symbol: name for symbol, (name, _) in GLOSSARY.items()}


def name_of(symbol: str) -> str:
    """The name that papers use for an axis, or the letter itself for a workload axis.

    >>> name_of("h"), name_of("q")
    ('n_heads', 'q')
    """
    return NAMES.get(symbol, symbol)
