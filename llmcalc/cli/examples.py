"""Examples of every command, which its help prints and the tests run."""

from __future__ import annotations

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
        "llmcalc fit llama3.3-70b --gpu h100:4 --solve seq",
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
    "presets kinds": (
        "llmcalc presets kinds",
        "llmcalc presets kinds mamba2",
        "llmcalc presets kinds moe --json",
    ),
    "presets where": (
        "llmcalc presets where gpt3",
        "llmcalc presets where llama3-8b",
        "llmcalc presets where gpt2 --json",
    ),
    "web build": (
        "llmcalc web build -o site",
        "llmcalc web build -o site --pyodide pyodide-314.0.7.tgz",
        "llmcalc web build -o docs/site --force",
    ),
    "web serve": (
        "llmcalc web serve",
        "llmcalc web serve site",
        "llmcalc web serve site --port 8000",
    ),
}
