"""Files of training programs, with the model that each names and the arguments of ``memory`` that it means.

The keys are those of published examples, and the sizes are primes.
"""

from __future__ import annotations

from typing import Any

from llmcalc import Mesh

ALL = ("wd", "wg", "wk", "wo", "wq", "wu", "wv")

CASES: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "axolotl, QLoRA": (
        "a.yml",
        """
base_model: NousResearch/Llama-3.2-1B
load_in_4bit: true
adapter: qlora
lora_r: 13
lora_alpha: 16
lora_target_modules: [gate_proj, down_proj, up_proj, q_proj, v_proj, k_proj, o_proj]
sequence_len: 1009
micro_batch_size: 3
gradient_accumulation_steps: 5
optimizer: adamw_bnb_8bit
bf16: auto
gradient_checkpointing: true
attn_implementation: flash_attention_2
datasets: [{path: a/b, type: alpaca}]
special_tokens: {pad_token: "<|end|>"}
""",
        "llama3.2-1b",
        {
            "batch": 3, "seq": 1009, "weights": "nf4", "lora_rank": 13, "lora_targets": ALL, "gradients": "fp32",
            "master": False,
            "optimizer": "adam-8bit", "recompute": "full", "mesh": Mesh(micro_batches=5),
        },
    ),
    "axolotl, full": (
        "a.yaml",
        "base_model: Qwen/Qwen3-0.6B\nsequence_len: 523\noptimizer: paged_adamw_8bit\nflash_attention: true\n"
        "liger_fused_linear_cross_entropy: true\nwandb_project:\nval_set_size: 0.05\n",
        "qwen3-0.6b",
        {"seq": 523, "optimizer": "adam-8bit", "offload": "optimizer", "convention": "torch", "loss": "chunked"},
    ),
    "axolotl, offload": (
        "a.yml",
        "base_model: Qwen/Qwen3-0.6B\nsequence_len: 541\nadapter: lora\nlora_r: 11\nlora_dropout: 0.05\n"
        "lora_target_linear: true\nliger_glu_activation: true\ngradient_checkpointing: offload\n",
        "qwen3-0.6b",
        {
            "seq": 541, "lora_rank": 11, "lora_dropout": True, "gradients": "fp32", "recompute": "full",
            "offload_activations": True, "fused_activation": True,
        },
    ),
    "torchtune, early optimizer": (
        "u.yaml",
        "model: {_component_: torchtune.models.llama3_2.llama3_2_1b}\ncheckpointer: {_component_: a.b}\nbatch_size: 3\n"
        "tokenizer: {max_seq_len: 547}\noptimizer: {_component_: bitsandbytes.optim.PagedAdamW8bit}\n"
        "optimizer_in_bwd: true\nenable_activation_checkpointing: true\nenable_activation_offloading: true\n",
        "llama3.2-1b",
        {
            "batch": 3, "seq": 547, "optimizer": "adam-8bit", "offload": "optimizer", "optimizer_in_backward": True,
            "recompute": "full", "offload_activations": True, "convention": "torch",
        },
    ),
    "axolotl, FSDP": (
        "a.yml",
        "base_model: Qwen/Qwen3-0.6B\nmicro_batch_size: 2\nsequence_len: 521\nfsdp_version: 2\ndp_shard_size: 7\n"
        "fsdp_config:\n  reshard_after_forward: false\n  activation_checkpointing: true\n  state_dict_type: FULL\n",
        "qwen3-0.6b",
        {"batch": 2, "seq": 521, "recompute": "full", "mesh": Mesh(dp=7, zero=2)},
    ),
    "axolotl, fp32": (
        "a.yml",
        "base_model: Qwen/Qwen3-0.6B\nsequence_len: 509\nbf16: false\neager_attention: true\noptimizer: lion_32bit\n",
        "qwen3-0.6b",
        {"seq": 509, "dtype": "fp32", "attention": "eager", "optimizer": "lion"},
    ),
    "TRL, defaults": (
        "t.yaml",
        "model_name_or_path:\n  Qwen/Qwen2.5-0.5B\ndataset_name:\n  a/b\nlearning_rate:\n  0.0001\n",
        "qwen2.5-0.5b",
        {"batch": 8, "seq": 1024, "recompute": "full", "gradients": "fp32", "loss": "chunked"},
    ),
    "TRL, LoRA of an fp32 model": (
        "t.yaml",
        "model_name_or_path: Qwen/Qwen2.5-0.5B\ndataset_name: a/b\nuse_peft: true\nlora_r: 17\nmax_length: 499\n"
        "per_device_train_batch_size: 2\npacking: true\n",
        "qwen2.5-0.5b",
        {
            "batch": 2, "seq": 499, "recompute": "full", "gradients": "fp32", "weights": "fp32", "lora_rank": 17,
            "lora_targets": ("wq", "wv"), "loss": "chunked",
        },
    ),
    "TRL, 16-bit": (
        "t.yaml",
        "model_name_or_path: openai-community/gpt2\ndataset_name: a/b\ndtype: bfloat16\noptim: adafactor\n"
        "gradient_checkpointing: false\nmax_length: 503\nuse_liger_kernel: true\nattn_implementation: eager\n",
        "gpt2",
        {
            "batch": 8, "seq": 503, "optimizer": "adafactor", "convention": "torch", "loss": "chunked",
            "attention": "eager",
        },
    ),
    "LLaMA-Factory v1, QLoRA": (
        "a.yaml",
        """
model: Qwen/Qwen3-0.6B
model_class: llm
peft_config:
  name: lora
  r: 13
  lora_alpha: 32
  target_modules: all
kernel_config:
  name: auto
dist_config: null
quant_config:
  name: bnb
  quantization_bit: 4
train_dataset: data/v1_sft_demo.yaml
micro_batch_size: 3
cutoff_len: 1009
learning_rate: 1.0e-4
max_steps: 10
""",
        "qwen3-0.6b",
        {
            "batch": 3, "seq": 1009, "weights": "nf4-double", "lora_rank": 13, "lora_targets": ALL, "gradients": "fp32",
            "master": False,
            "recompute": "full",
        },
    ),
    "LLaMA-Factory v1, FSDP": (
        "a.yaml",
        "model: Qwen/Qwen3-0.6B\nmodel_class: llm\nquant_config: null\ndist_config:\n  name: fsdp2\n  dcp_path: null\n"
        "optim_config:\n  name: muon\n  ns_steps: 5\nflash_attn: flash_attention_2\ncutoff_len: 521\nbf16: false\n"
        "dp_size: 7\ncp_mode: ulysses\ncp_size: 2\n",
        "qwen3-0.6b",
        {"seq": 521, "dtype": "fp32", "optimizer": "muon", "recompute": "full", "mesh": Mesh(dp=7, cp=2, zero=3)},
    ),
    "LLaMA-Factory v1, DeepSpeed": (
        "a.yaml",
        "model: Qwen/Qwen3-0.6B\nmodel_class: llm\nkernel_config:\n    name: auto\ndist_config:\n    name: deepspeed\n"
        "    config_file: examples/deepspeed/ds_z3_config.json\ntrain_dataset: data/v1_sft_demo.yaml\ncutoff_len: 523\n"
        "dp_size: 7\n",
        "qwen3-0.6b",
        {"seq": 523, "recompute": "full", "mesh": Mesh(dp=7, zero=3)},
    ),
    "LLaMA-Factory v1, one GPU": (
        "a.yaml",
        "model: Qwen/Qwen3-0.6B\nmodel_class: llm\ntrain_dataset: a.yaml\nenable_activation_checkpointing: false\n",
        "qwen3-0.6b",
        {"seq": 2048, "dtype": "fp32"},
    ),
    "LLaMA-Factory, LoRA": (
        "l.yaml",
        "model_name_or_path: meta-llama/Llama-3.2-1B\nstage: sft\nfinetuning_type: lora\ntemplate: llama3\n"
        "cutoff_len: 1021\nper_device_train_batch_size: 1\ngradient_accumulation_steps: 3\nbf16: true\n",
        "llama3.2-1b",
        {
            "seq": 1021, "recompute": "full", "gradients": "fp32", "lora_rank": 8, "lora_targets": ALL,
            "mesh": Mesh(micro_batches=3),
        },
    ),
    "LLaMA-Factory, full": (
        "l.yaml",
        "model_name_or_path: meta-llama/Llama-3.2-1B\nfinetuning_type: full\ntemplate: llama3\npure_bf16: true\n"
        "disable_gradient_checkpointing: true\nflash_attn: fa2\nper_device_train_batch_size: 3\n",
        "llama3.2-1b",
        {"batch": 3, "seq": 2048, "convention": "torch"},
    ),
    "LLaMA-Factory, QLoRA": (
        "l.yaml",
        "model_name_or_path: meta-llama/Llama-3.2-1B\ncutoff_len: 1019\nquantization_bit: 4\nlora_target: q_proj\n"
        "per_device_train_batch_size: 1\nfp16: true\nenable_liger_kernel: true\n",
        "llama3.2-1b",
        {
            "seq": 1019, "recompute": "full", "gradients": "fp32", "lora_rank": 8, "lora_targets": ("wq",),
            "weights": "nf4-double", "dtype": "fp16", "loss": "chunked", "master": False,
        },
    ),
    "torchtitan, TP": (
        "t.toml",
        """
[job]
dump_folder = "./outputs"
[model]
name = "qwen3"
flavor = "0.6B"
[optimizer]
name = "AdamW"
lr = 3e-4
[training]
local_batch_size = 3
seq_len = 1009
steps = 7
[parallelism]
data_parallel_replicate_degree = 1
data_parallel_shard_degree = 5
tensor_parallel_degree = 2
[activation_checkpoint]
mode = "full"
[checkpoint]
enable = false
""",
        "qwen3-0.6b",
        {
            "batch": 3, "seq": 1009, "recompute": "full", "gradients": "fp32",
            "mesh": Mesh(dp=5, tp=2, sp=True, zero=3, vocabulary_multiple=1),
        },
    ),
    "torchtitan, DDP": (
        "t.toml",
        '[model]\nname = "llama3"\nflavor = "8B"\n[training]\nbatch_size = 2\nseq_len = 499\n'
        '[parallelism]\ndata_parallel_replicate_degree = 3\ndata_parallel_shard_degree = 1\n'
        '[activation_checkpoint]\nmode = "none"\n',
        "llama3.1-8b",
        {"batch": 2, "seq": 499, "gradients": "fp32", "mesh": Mesh(dp=3)},
    ),
    "torchtitan, pipeline": (
        "t.toml",
        '[model]\nname = "qwen3"\nflavor = "0.6B"\n[training]\nlocal_batch_size = 6\nseq_len = 503\n'
        "[parallelism]\npipeline_parallel_degree = 4\npipeline_parallel_microbatch_size = 2\n"
        'data_parallel_shard_degree = 3\nfsdp_reshard_after_forward = "never"\n'
        '[activation_checkpoint]\nmode = "none"\n',
        "qwen3-0.6b",
        {"batch": 2, "seq": 503, "gradients": "fp32", "mesh": Mesh(dp=3, pp=4, zero=2, micro_batches=3)},
    ),
    "NeMo AutoModel, full": (
        "n.yaml",
        "recipe: a\nstep_scheduler: {global_batch_size: 42, local_batch_size: 2}\n"
        "model: {pretrained_model_name_or_path: meta-llama/Llama-3.2-1B}\n"
        "distributed: {strategy: fsdp2, dp_size: 7, tp_size: 1, activation_checkpointing: true}\n"
        "packed_sequence: {packed_sequence_size: 1013}\noptimizer: {_target_: torch.optim.Adam, lr: 1.0e-5}\n",
        "llama3.2-1b",
        {
            "batch": 2, "seq": 1013, "recompute": "full", "convention": "torch",
            "mesh": Mesh(dp=7, zero=3, micro_batches=3),
        },
    ),
    "NeMo AutoModel, LoRA": (
        "n.yaml",
        "step_scheduler: {global_batch_size: 3, local_batch_size: 3}\ndistributed: {strategy: ddp, dp_size: none}\n"
        "model: {_target_: a.b, pretrained_model_name_or_path: meta-llama/Llama-3.2-1B, torch_dtype: bf16}\n"
        "dataset: {seq_len: 1019}\npeft: {_target_: a.b, target_modules: '*_proj', dim: 11, alpha: 32}\n",
        "llama3.2-1b",
        {"batch": 3, "seq": 1019, "gradients": "fp32", "lora_rank": 11, "lora_targets": ALL},
    ),
    "NeMo AutoModel, fp32 copies": (
        "n.yaml",
        "step_scheduler: {global_batch_size: 10, local_batch_size: 2}\ndistributed: {dp_size: 5, strategy: fsdp2}\n"
        "model: {config: {pretrained_model_name_or_path: meta-llama/Llama-3.2-1B}}\ndataset: {seq_length: 499}\n"
        "optimizer: {_target_: transformer_engine.pytorch.optimizers.fused_adam.FusedAdam, master_weights: true}\n",
        "llama3.2-1b",
        {"batch": 2, "seq": 499, "mesh": Mesh(dp=5, zero=3)},
    ),
}  # fmt: skip

LLAMA_SIZES = """
    --num-layers 16 --hidden-size 2048 --ffn-hidden-size 8192 --num-attention-heads 32 --group-query-attention
    --num-query-groups 8 --kv-channels 64 --position-embedding-type rope --swiglu --normalization RMSNorm
    --disable-bias-linear --vocab-size 128256 --make-vocab-size-divisible-by 1 --max-position-embeddings 8192
"""
MEGATRON = {"gradients": "fp32", "gradient_buffer": True, "gradient_placeholders": True, "loss": "parallel"}
SIZED: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "Megatron, Llama": (
        "run.sh",
        f"""#!/bin/bash
GPUS_PER_NODE=${{GPUS_PER_NODE:-8}}
NODES=3
TP=4
MODEL_ARGS=( {LLAMA_SIZES} )
torchrun --nproc_per_node $GPUS_PER_NODE --nnodes ${{NODES}} pretrain_gpt.py ${{MODEL_ARGS[@]}} \\
    --tensor-model-parallel-size $TP --sequence-parallel --use-distributed-optimizer --bf16 \\
    --micro-batch-size 3 --global-batch-size $((6*NODES)) --seq-length 1009 --train-iters 11 \\
    --attention-dropout 0.0 --hidden-dropout 0.0 "--recompute-granularity full" --lr 1e-4
""",
        "llama3.2-1b",
        {
            "batch": 3, "seq": 1009, "recompute": "full", "fused_activation": True, **MEGATRON,
            "mesh": Mesh(dp=6, tp=4, sp=True, zero=1, vocabulary_multiple=1),
        },
    ),
    "Megatron, GPT": (
        "run.sh",
        "torchrun pretrain_gpt.py --num-layers 12 --hidden-size 768 --num-attention-heads 12 --seq-length 503 "
        "--max-position-embeddings 1024 --micro-batch-size 2 --global-batch-size 6 --fp16 --openai-gelu "
        "--tokenizer-type GPT2BPETokenizer --make-vocab-size-divisible-by 1 --transformer-impl local",
        "gpt2",
        {
            "batch": 2, "seq": 503, "dtype": "fp16", "dropout": True, "gradient_buffer": True, "loss": "parallel",
            "mesh": Mesh(micro_batches=3),
        },
    ),
    "Megatron, Mixtral": (
        "run.sh",
        "pretrain_gpt.py --num-layers 32 --hidden-size 4096 --ffn-hidden-size 14336 --num-attention-heads 32 "
        "--group-query-attention --num-query-groups 8 --num-experts 8 --moe-router-topk 2 --moe-grouped-gemm --swiglu "
        "--untie-embeddings-and-output-weights --normalization RMSNorm --position-embedding-type rope "
        "--disable-bias-linear --tokenizer-type Llama2Tokenizer --micro-batch-size 1 --global-batch-size 56 "
        "--seq-length 521 --pipeline-model-parallel-size 4 --num-layers-per-virtual-pipeline-stage 4 --bf16 "
        "--nproc_per_node 28 --hidden-dropout 0 --attention-dropout 0.0 --cross-entropy-loss-fusion "
        "--cross-entropy-fusion-impl te --no-bias-swiglu-fusion",
        "mixtral-8x7b",
        {
            "seq": 521, **MEGATRON, "loss": "fused", "mesh": Mesh(dp=7, pp=4, virtual_stages=2, micro_batches=8),
        },
    ),
    "Megatron, FP8": (
        "run.sh",
        f"pretrain_gpt.py {LLAMA_SIZES} --micro-batch-size 1 --seq-length 509 --bf16 --fp8-format hybrid "
        "--fp8-param-gather --exp-avg-dtype bf16 --exp-avg-sq-dtype bf16 --hidden-dropout 0 --attention-dropout 0",
        "llama3.2-1b",
        {
            "seq": 509, "fp8": "weights", "fused_activation": True, "optimizer": "adamw-bf16",
            "mesh": Mesh(vocabulary_multiple=1), **MEGATRON,
        },
    ),
    "NeMo, GPT": (
        "n.yaml",
        "trainer: {devices: 5, num_nodes: 1, precision: bf16, max_steps: 7}\nmodel:\n  micro_batch_size: 3\n"
        "  global_batch_size: 15\n  encoder_seq_length: 499\n  max_position_embeddings: 1024\n  num_layers: 12\n"
        "  hidden_size: 768\n  num_attention_heads: 12\n  activation: openai-gelu\n  hidden_dropout: 0.0\n"
        "  attention_dropout: 0.0\n  make_vocab_size_divisible_by: 1\n"
        "  data: {seq_length: '${model.encoder_seq_length}'}\n"
        "  tokenizer: {library: megatron, type: GPT2BPETokenizer}\n"
        "  optim: {name: distributed_fused_adam, lr: 2.0e-4}\n",
        "gpt2",
        {
            "batch": 3, "seq": 499, "gradients": "fp32", "gradient_buffer": True, "loss": "parallel",
            "mesh": Mesh(dp=5, zero=1),
        },
    ),
}  # fmt: skip
