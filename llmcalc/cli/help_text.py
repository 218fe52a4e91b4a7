"""Short texts and examples of the help, imported only to print it.

A line names one or more options with their placeholders, and after two or more spaces a short text. Help shows only
the options that a command has. The long text of an option is in its declaration (``llmcalc help CMD --OPTION``).
An option without a line is listed first, with its long text.
"""

from __future__ import annotations

OPTIONS = "Options"  # panel of options without a line
UNLISTED = {"check": "Limits", "design": "Target"}  # the same, for the options of quantities
# panels that a long help shortens, in this order
COMPACTED = ("Training", "Parallelism", "Serving", "Formats", "Adapters")
PANELS = {
    "GPU": """
        --gpu NAME[:N]  such as h100 or h100:8
        --gpu-memory SIZE  memory per GPU, such as 79.6GiB
        --reserve SIZE  kept free: 2GiB, 10% or 0
        --mfu SHARE  utilisation, such as 40%
        --precision FORMAT  format of matrix products
        --price DOLLARS  US dollars per GPU-hour
        --watts W  measured power per GPU
        --pue RATIO  overhead of the data centre, such as 1.1
        --carbon KG  CO2e per kWh, such as 0.385
        --engine NAME  inference engine, of latency
    """,
    "Model": """
        --set PATH=VALUE  change a size, such as n_layers=12
        --set-first PATH=VALUE  change only the first model
        --set-second PATH=VALUE  change only the second model
        --as TYPE  read config.json as this model_type
        --allow-unknown KEY  ignore this key of config.json
        --strict  refuse every unknown key of config.json
        --training-file FILE  of Axolotl, TRL, torchtitan, ...
    """,
    "Workload": """
        --batch N  sequences
        --seq N  tokens per sequence, such as 32k
        --target-seq N --extend  decoder tokens; exceed learned positions
        --mode MODE  forward (default), train or decode
        --context N  cached tokens before a decode step
        --patches --frames N  image patches, audio frames
        --image SIZE  image per sequence, such as 1024x768
        --tokens AMOUNT  training tokens, such as 15T
        --batch-tokens AMOUNT  tokens per optimizer step, such as 4M
        --count causal|dense  query-key pairs
        --logits all|last  positions with logits
        --kernels fused|unfused  traffic per kernel or per equation
        --convention torch  as transformers' eager code runs
    """,
    "Formats": """
        --dtype FORMAT  fp32, bf16 or fp16
        --weights --cache FORMAT  of weights and KV cache, such as fp8
        --experts FORMAT  of routed experts
        --attention-weights FORMAT  of matrices of attention
        --only --keep COMPONENT  quantise only this; do not quantise this
    """,
    "Serving": """
        --paged TOKENS --beams N  KV cache block; beams per sequence
        --step-tokens TOKENS  per step over all sequences, or all
        --prefill TOKENS  per chunk of a prompt
    """,
    "Training": """
        --training  memory of a training step
        --optimizer NAME  such as adamw (default) or muon
        --micro-batch-size N  sequences per micro-batch
        --recompute WHAT  none, selective or full
        --attention flash|eager  attention kernel
        --cross-entropy HOW  eager (separate operations) or fused
        --scan HOW  recurrences: eager (default) or fused
        --expert-kernel HOW  torch: grouped (default) or loop
        --gradients FORMAT  bf16, fp16 or fp32
        --gradient-buffer  contiguous gradients, as in Megatron-LM
        --gradient-placeholders  of matrix shapes (Transformer Engine)
        --dropout --no-master  dropout on; no fp32 master weights
        --lora-rank N  train only LoRA adapters
        --lora-target TENSOR  matrix with adapters, such as wq
    """,
    "Parallelism": """
        --dp --tp --pp --cp N  data, tensor, pipeline, context ranks
        --ep --etp N  expert ranks; tensor ranks per expert
        --sp --zero STAGE  sequence parallelism; ZeRO 1, 2 or 3
        --micro-batches N  micro-batches per step
        --virtual-stages N  model chunks per pipeline stage
        --vocabulary-multiple N  vocabulary is padded to N · --tp
    """,
    "Output": """
        --format NAME  table, plain, json, csv, markdown, ...
        --json  same as --format json
        --color WHEN  auto (default), always or never
        --notes  print every note
        -o --output FILE  file to write (-: standard output)
        --force  overwrite an existing file
    """,
}
OWN = {  # lines of one command, by panel
    "params": {"Options": """
        --by PART  component (default), layer or tensor
        --layout NAME  list tensors as stored in this layout
    """},
    "flops": {"Options": """
        --by PART  component (default) or layer
        --recompute WHAT  none, selective or full (in training)
    """},
    "fit": {"GPU": """
        --gpu NAME[:N]  such as h100:8 or 24GB; all: every GPU
        --list  list the models that fit on --gpu
        --solve WHAT  seq, batch, gpus, gpu-layers, recipe, ...
    """},
    "check-log": {
        "Overrides": """
            --gpu NAME  such as a100-80gb
            --gpu-memory SIZE  per GPU, such as 79.19GiB
            --model MODEL  if the log has a path
            --engine-version VERSION  such as 0.19
        """,
    },
    "calibrate": {
        "File": """
            -o, --output FILE  for serve --calibration
            --force  overwrite an existing file
        """,
    },
    "serve": {
        "GPU": """
            --gpu NAME[:N],...  such as h100:4; several, or all: by price
            --gpu-memory --price X  79.6GiB; US dollars per GPU-hour
        """,
        "Engine": """
            --engine --engine-version X  vllm, sglang, ...; such as 0.11
            --command TEXT  its command line, or after --
            --gpu-memory-utilization X  share of the memory
            --max-model-len TOKENS  longest request, or auto
            --max-num-seqs --block-size N  sequences; tokens per block
            --max-num-batched-tokens N  tokens per step
            --kv-cache-memory SIZE  per GPU
            --enforce-eager  no CUDA graphs
            --image --images-per-prompt X  1024x768; 0: no encoder
        """,
        "Load": """
            --isl --osl TOKENS  of a request, for its times
            --mix --trace --prefix-share X  4k/500:1,...; file; cached
            --turns --concurrency N  of a conversation; requests at once
            --sla LIMITS  find layouts: ttft=300ms,tpot=10ms
            --pareto --prefill-pool POOL  front; GPUs for prefills: 2xtp2
            --watts --api-price VALUE  for energy; of an API, as 0.5/1.5
            --calibration FILE  of llmcalc calibrate
        """,
        "Offload": """
            --gpu-layers --cpu-experts N  llama.cpp: on the GPUs, on the host
            --cpu-offload-gb GIB  weights in host memory per GPU
            --kv-offloading-size GIB  vLLM: KV cache in host memory
        """,
        "Adapters": """
            --enable-lora  serve LoRA adapters
            --max-loras --max-lora-rank N  adapters on a GPU; their rank
        """,
        "Speculation": """
            --draft --draft-method NAME  a model; mtp, eagle3, ngram, ...
            --draft-tokens N  drafted tokens per step
            --acceptance-length X  mean tokens per step, such as 2.5
            --acceptance-rate SHARE  accepted of the drafted tokens
        """,
        "Parallelism": """
            --dp --tp --pp --ep N  data, tensor, pipeline, expert ranks
            --expert-parallel  experts over all ranks
            --two-batch-overlap  exchange half a batch meanwhile
        """,
    },
    "latency": {
        "GPU": """
            --gpu NAME[:N]  such as h100 or h100:4
            --engine NAME  vllm, sglang, ... (default: by GPU)
            --engine-version VERSION  such as 0.6
            --calibration FILE  of llmcalc calibrate
        """,
        "Workload": """
            --mode MODE  decode, prefill or generate
            --context N  decode: cached tokens
            --seq N  prefill, generate: tokens per prompt
            --new-tokens N  generate: new tokens per sequence
        """,
        "Parallelism": """
            --dp --tp --pp --ep N  data, tensor, pipeline, expert ranks
        """,
    },
    "rl": {
        "GPU": """
            --gpu NAME[:N]  such as h100:8 or 80GiB
        """,
        "Step": """
            --algorithm grpo|ppo  ppo: a critic as well
            --rollout colocate|separate  engine on the trainer's GPUs
            --completions N  per prompt (a group; default: 8)
            --prompt --completion TOKENS  default: 512 and 256
            --micro-batch N  completions in a backward pass
            --reference  keep a reference model
            --offload  trainer in host memory during rollout
        """,
        "Engine": """
            --share SHARE  of a GPU (default: 0.3)
            --sleep LEVEL  during training: 0, 1 or 2
            --engine-tp N  tensor-parallel ranks
        """,
        "Formats": """
            --weights FORMAT  of frozen weights, such as nf4
        """,
        "Parallelism": """
            --dp --tp N  data, tensor ranks
            --zero STAGE  ZeRO 1, 2 or 3 (FSDP)
        """,
    },
    "scale": {
        "Budget": """
            --compute AMOUNT  training FLOPs: 1e24 or 3640PF-days
            --days N  days on the GPUs of --gpu
            --gpu-hours AMOUNT  hours on --gpu, such as 1M
            --dollars AMOUNT  US dollars (requires --price)
        """,
        "Plan": """
            --params AMOUNT  parameters, such as 70B
            --tokens AMOUNT  training tokens, such as 15T
            --loss LOSS  target loss in nats per token
            --unique AMOUNT  unique tokens; the rest are repeats
            --inference AMOUNT  tokens to serve, such as 10T
            --inference-cost RATIO  of a serving FLOP (default: 1)
            --n-experts N  total over active experts
            --granularity N  dense width over expert width
        """,
        "Laws": """
            --law NAME  scaling law, or all (repeatable)
            --shape MODEL  family of reference models
            --seq N  tokens per sequence
        """,
    },
    "sweep": {"Options": """
        --over NAME=VALUES  seq=1k..1M:x2, weights=bf16,nf4 or tp=1,2
    """},
    "design": {
        "Shape": """
            --multiple N  round widths to multiples
            --within SHARE  tolerance
            --over NAME=VALUES  such as vocab=32000,64000
        """,
        "Workload": """
            --seq N  tokens per sequence
        """,
        "Parallelism": """
            --tp N  must divide the heads
            --dp --pp --cp N  data, pipeline, context ranks
        """,
    },
    "explain": {"Options": """
        --depth N  number of tree levels
        --path TEXT  only components with this in their path
    """},
    "timeline": {"Options": """
        --all  every size, not only the largest
    """},
    "check": {
        "Options": """
            --select --ignore CODE  only these rules; not these rules
        """,
        "Limits": """
            --max-compute AMOUNT  training FLOPs, such as 1e24
            --tokens AMOUNT  training tokens, such as 15T
        """,
        "Parallelism": """
            --tp --pp --ep N  tensor, pipeline, expert ranks
            --dp --cp N  data, context ranks
            --etp N  tensor ranks per expert
        """,
    },
    "report": {"Options": """
        --gpu NAME[:N]  GPUs to serve on: memory, time and cost
        --weights FORMAT  number format of the weights
        --lengths VALUES  of the charts
        -o --output FILE  HTML file (-: standard output)
    """},
    "web build": {"Options": """
        -o --output DIR  folder to write to
        --pyodide PATH  folder, or .tgz from npm
        --force  write to a folder with other files
    """},
    "web serve": {"Options": """
        --port N  default: a free one
        --pyodide PATH  folder, or .tgz from npm
    """},
    "presets show": {"Options": """
        --resolved  resolve the base, variables and defaults
    """},
}  # fmt: skip
