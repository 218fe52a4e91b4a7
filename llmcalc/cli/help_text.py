"""Short texts and examples of the help, imported only to print it.

A line names one or more options with their placeholders, and after two or more spaces a short text. Help shows only
the options that a command has. The long text of an option is in its declaration (``llmcalc help CMD --OPTION``).
An option without a line is listed first, with its long text.
"""

from __future__ import annotations

OPTIONS = "Options"  # panel of options without a line
UNLISTED = {"check": "Limits", "design": "Target"}  # the same, for the options of quantities
COMPACTED = ("Training", "Parallelism", "Serving", "Formats")  # panels that a long help shortens, in this order
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
            --gpu NAME[:N]  such as h100 or h100:4
        """,
        "Engine": """
            --engine NAME  serving engine
            --engine-version VERSION  such as 0.11
            --command TEXT  its command line, or after --
            --gpu-memory-utilization X  share of the memory
            --max-model-len TOKENS  longest request, or auto
            --max-num-seqs N  sequences per step
            --max-num-batched-tokens N  tokens per step
            --block-size N  tokens per KV cache block
            --kv-cache-memory SIZE  per GPU
            --enforce-eager  no CUDA graphs
            --images-per-prompt N  0: no image encoder
            --image SIZE  in a request, such as 1024x768
        """,
        "Load": """
            --isl --osl TOKENS  of a request, for its times
            --concurrency N  requests at any time
            --sla LIMITS  find layouts: ttft<300ms,tpot<10ms
            --calibration FILE  of llmcalc calibrate
        """,
        "Offload": """
            --gpu-layers N  llama.cpp: layers on the GPUs
            --cpu-experts N  layers with experts on the host
            --cpu-offload-gb GIB  weights in host memory per GPU
            --kv-offloading-size GIB  vLLM: KV cache in host memory
        """,
        "Adapters": """
            --enable-lora  serve LoRA adapters
            --max-loras --max-lora-rank N  adapters on a GPU; their rank
        """,
        "Speculation": """
            --draft MODEL  draft model
            --draft-method NAME  such as mtp or eagle3
        """,
        "Parallelism": """
            --dp --tp --pp --ep N  data, tensor, pipeline, expert ranks
            --expert-parallel  experts over all ranks
        """,
    },
    "latency": {
        "GPU": """
            --gpu NAME[:N]  such as h100 or h100:4
            --engine NAME  vllm (default), sglang, ...
        """,
        "Workload": """
            --mode MODE  decode, prefill or generate
            --context N  decode: cached tokens
            --seq N  prefill, generate: tokens per prompt
            --new-tokens N  generate: new tokens per sequence
        """,
        "Parallelism": """
            --dp --tp --ep N  data, tensor, expert ranks
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
        --gpu NAME[:N]  GPUs whose memory the charts show
        --lengths VALUES  of the charts
        -o --output FILE  HTML file (-: standard output)
    """},
    "presets show": {"Options": """
        --resolved  resolve the base, variables and defaults
    """},
}  # fmt: skip
EXAMPLES = {
    "params": (
        "llmcalc params gpt3",
        "llmcalc params mixtral-8x7b --by layer",
        "llmcalc params gpt2 --set n_layers=24 --json",
    ),
    "flops": (
        "llmcalc flops gpt3 --mode train",
        "llmcalc flops llama3-8b --mode decode --context 32k",
        "llmcalc flops qwen3-32b --seq 8192 --by layer",
    ),
    "traffic": (
        "llmcalc traffic llama3-8b --mode decode --context 8192",
        "llmcalc traffic deepseek-v3 --mode decode --context 32k --batch 64",
        "llmcalc traffic gpt3 --kernels unfused",
    ),
    "communication": (
        "llmcalc communication gpt3 --tp 8 --mode train",
        "llmcalc communication llama3-70b --tp 8 --mode decode --context 8k",
        "llmcalc communication llama3-8b --dp 64 --zero 3 --mode train",
    ),
    "memory": (
        "llmcalc memory llama3-8b --seq 32k --batch 16",
        "llmcalc memory qwen3-32b --weights q4_k_m --cache fp8",
        "llmcalc memory llama3-8b --training --tp 2 --dp 4 --zero 1",
    ),
    "fit": (
        "llmcalc fit llama3-70b --gpu h100:4 --solve seq",
        "llmcalc fit qwen3-32b --gpu all --weights q4_k_m",
        "llmcalc fit --gpu rtx4090 --list",
    ),
    "check-log": (
        "llmcalc check-log server.log",
        "llmcalc check-log server.log --gpu a100-80gb",
        "llmcalc check-log server.log --model qwen3-8b --json",
    ),
    "serve": (
        "llmcalc serve qwen3-32b --gpu h100:2",
        "llmcalc serve --gpu h100:4 -- vllm serve Qwen/Qwen3-32B -tp 4",
        "llmcalc serve llama3.3-70b --gpu h100:2 --isl 1k --osl 500",
    ),
    "calibrate": (
        "llmcalc calibrate rows.csv",
        "llmcalc calibrate rows.csv -o own.yaml",
        "llmcalc calibrate rows.csv -o own.json --force --json",
    ),
    "latency": (
        "llmcalc latency llama3.1-8b --gpu h100",
        "llmcalc latency llama3.3-70b --gpu h100:4 --batch 16 --context 8k",
        "llmcalc latency qwen3-32b --gpu rtx4090:2 --seq 4k --new-tokens 500",
    ),
    "rl": (
        "llmcalc rl qwen2.5-7b --gpu h100 --lora-rank 16 --sleep 2",
        "llmcalc rl qwen2.5-7b --gpu h200 --dp 8 --zero 3 --completion 4k",
        "llmcalc rl llama3.2-1b --gpu h200 --algorithm ppo",
    ),
    "scale": (
        "llmcalc scale --gpu h100:512 --days 30",
        "llmcalc scale --params 8B --tokens 15T",
        "llmcalc scale --compute 1e24 --law all",
    ),
    "train": (
        "llmcalc train llama3-70b --tokens 15T --gpu h100:512",
        "llmcalc train gpt3 --gpu a100-sxm-80gb:1024 --mfu 40% --price 2",
        "llmcalc train llama3-8b --gpu h100:64 --dp 64 --zero 1",
    ),
    "sweep": (
        "llmcalc sweep llama3-8b state.bytes --over seq=1k..1M:x2",
        "llmcalc sweep gpt2 params.total --over n_layers=12,24,48",
        "llmcalc sweep llama3-8b memory.peak --over weights=bf16,fp8,nf4",
    ),
    "compare": (
        "llmcalc compare bert palm",
        "llmcalc compare llama3-8b qwen3-8b gemma2-9b --seq 8k",
        "llmcalc compare mixtral-8x7b deepseek-v3 --format markdown",
    ),
    "diff": (
        "llmcalc diff llama3-8b llama3.1-8b",
        "llmcalc diff mistral-7b mixtral-8x7b",
        "llmcalc diff gpt2 gpt2 --set-second n_layers=24",
    ),
    "import": (
        "llmcalc import config.json -o mine.yaml",
        "llmcalc import llama3-8b --set n_layers=16",
        "llmcalc import gpt2 -o small.yaml --force",
    ),
    "explain": (
        "llmcalc explain gpt3 params --depth 2",
        "llmcalc explain llama3-8b flops --path attention",
        "llmcalc explain deepseek-v3 memory --seq 32k --depth 3",
    ),
    "evidence": (
        "llmcalc evidence",
        "llmcalc evidence memory",
        "llmcalc evidence train --json",
    ),
    "formats list": (
        "llmcalc formats list",
        "llmcalc formats list --json",
        "llmcalc formats list --format markdown",
    ),
    "hardware list": (
        "llmcalc hardware list",
        "llmcalc hardware list --json",
        "llmcalc hardware list --format csv",
    ),
    "hardware show": (
        "llmcalc hardware show h100",
        "llmcalc hardware show rtx4090 --json",
        "llmcalc hardware show h200 --format markdown",
    ),
    "timeline": (
        "llmcalc timeline",
        "llmcalc timeline --all",
        "llmcalc timeline '>=2020' --format svg",
    ),
    "laws list": ("llmcalc laws list", "llmcalc laws list --json", "llmcalc laws list --format csv"),
    "laws show": (
        "llmcalc laws show besiroglu",
        "llmcalc laws show kaplan --json",
        "llmcalc laws show hoffmann-3 --format markdown",
    ),
    "verify": ("llmcalc verify mixtral", "llmcalc verify gpt2 --set n_layers=2", "llmcalc verify llama3-8b --json"),
    "design": (
        "llmcalc design llama3 --params 13B",
        "llmcalc design llama3 --memory 24GiB --seq 8192",
        "llmcalc design llama3 --params 13B --over vocab=32000,64000",
    ),
    "check": (
        "llmcalc check gpt2 --max-params 200M",
        "llmcalc check llama3-8b qwen3-8b --tp 8",
        "llmcalc check mixtral-8x7b --select HW --json",
    ),
    "rule": ("llmcalc rule", "llmcalc rule HW005", "llmcalc rule HW005 --json"),
    "report": (
        "llmcalc report llama3-8b -o llama.html",
        "llmcalc report llama3-8b mamba2 --gpu h100 -o report.html",
        "llmcalc report gpt2 --lengths 1k..16k:x2 -o gpt2.html --force",
    ),
    "schema": ("llmcalc schema", "llmcalc schema preset", "llmcalc schema result"),
    "presets list": (
        "llmcalc presets list",
        "llmcalc presets list --json",
        "llmcalc presets list --format csv",
    ),
    "presets show": (
        "llmcalc presets show gpt3",
        "llmcalc presets show gpt3 --resolved",
        "llmcalc presets show gpt3 --resolved --set n_layers=2",
    ),
    "presets search": (
        "llmcalc presets search llama",
        "llmcalc presets search moe '>100b'",
        "llmcalc presets search mamba '>=2023' 1b-8b",
    ),
    "presets where": (
        "llmcalc presets where gpt3",
        "llmcalc presets where llama3-8b",
        "llmcalc presets where gpt2 --json",
    ),
}
