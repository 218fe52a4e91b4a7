"""Bad input to the commands that cost a model: one message that says what and where, exit code 2, nothing printed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Refused = Callable[[str, str], None]

STEPS = ("flops {}", "sweep {} flops.total --over batch=1", "compare {0} {0}", "explain {} flops")
SERVING = (
    "memory {}", "fit {} --gpu h100", "fit {} --gpu h100 --solve quant", "fit {} --gpu-memory 9GiB --solve gpus",
    "sweep {} memory.peak --over batch=1", "compare {0} {0}", "explain {} memory",
)  # fmt: skip
TRAINING = tuple(f"{line} --training" for line in SERVING if "quant" not in line)
# fit where no engine answers, which would refuse long sequences with an answer of its own
PLAIN_FITS = (
    "fit {} --gpu h100 --engine none", "fit {} --gpu h100 --engine none --solve quant", "fit {} --gpu h100 --training",
    "fit {} --gpu h100 --solve gpu-layers", "fit {} --gpu-memory 9GiB", "fit {} --gpu-memory 9GiB --solve gpus",
    "fit {} --gpu all",
)  # fmt: skip
LENGTHS = (*STEPS, *SERVING, "memory {} --training", "explain {} state")
FORMATS = (*SERVING[:2], *SERVING[4:])  # not where the best is looked for, or their number
# (model, flags): (the commands that take them, what the message says)
EVERYWHERE = {
    ("gpt3", "--seq 0"): (LENGTHS, "--seq: must be an integer of at least 1"),
    ("gpt3", "--seq -1"): (LENGTHS, "--seq: invalid length '-1'"),
    ("gpt3", "--seq 4096"): (
        [line for line in LENGTHS if not line.startswith("fit ")],
        "pass --extend to allow longer sequences",
    ),
    ("gpt3", "--batch -1"): (LENGTHS, "--batch: invalid value '-1'"),
    ("gpt3", "--target-seq 5"): (
        LENGTHS,
        "--target-seq: has no effect on gpt3-175b, which is not an encoder-decoder model",
    ),
    ("t5-small", "--target-seq 0"): (LENGTHS, "--target-seq: must be an integer of at least 1"),
    ("gpt3", "--mode decode"): (STEPS, "add --context N"),
    ("gpt3", "--context 5"): (STEPS, "--context: has no effect in a forward pass\n  add --mode decode"),
    ("gpt3", "--mode dekode"): (STEPS, "did you mean decode?"),
    ("llama3-8b", "--tp 7"): ((*SERVING, *TRAINING), "--tp: tp (7) does not divide"),
    ("llama3-8b", "--tp 0"): ((*SERVING, *TRAINING), "--tp: must be an integer of at least 1"),
    ("mixtral-8x7b", "--ep 3 --dp 3"): ((*SERVING, *TRAINING), "--ep: ep (3) does not divide n_experts (8)"),
    ("mixtral-8x7b", "--ep 2"): ((*SERVING, *TRAINING), "--ep: ep (2) does not divide dp · tp (1)"),
    ("mixtral-8x7b", "--etp 3 --tp 2"): (TRAINING, "--etp: ep · etp (3) does not divide dp · tp (2)"),
    ("gpt3", "--pp 97"): (TRAINING, "--pp: pp (97) exceeds the number of layers (96)"),
    ("gpt3", "--micro-batches 0"): (TRAINING, "--micro-batches: must be an integer of at least 1"),
    ("gpt3", "--zero 4"): (TRAINING, "--zero: must be one of 0, 1, 2, 3, not 4"),
    ("gpt3", "--sp"): (TRAINING, "add --tp N"),
    ("gpt3", "--optimizer adamm"): (TRAINING, "did you mean adamw"),
    ("gpt3", "--lora-rank 0"): (TRAINING, "--lora-rank: must be an integer of at least 1"),
    ("gpt3", "--cross-entropy fusd"): (TRAINING, "did you mean fused?"),
    ("gpt3", "--cross-entropy fused"): (SERVING, "--cross-entropy: has no effect in serving\n  add --training"),
    ("gpt3", "--beams 2"): (TRAINING, "--beams: has no effect in training"),
    ("gpt3", "--micro-batches 0 "): (SERVING, "--micro-batches: must be an integer of at least 1"),
    ("gpt3", "--lora-rank 7"): (SERVING, "--lora-rank: has no effect in serving\n  add --training"),
    ("gpt3", "--beams 0"): (SERVING, "--beams: must be an integer of at least 1"),
    ("gpt3", "--weights q4_k_n"): (FORMATS, "--weights: unknown number format 'q4_k_n'"),
    ("gpt3", "--cache fp9"): (SERVING, "--cache: unknown number format 'fp9'"),
}
LINES = {
    f"{command.format(model)} {flags}".strip(): said
    for (model, flags), (commands, said) in EVERYWHERE.items()
    for command in commands
}


@pytest.mark.parametrize("line", LINES)
def test_every_command_refuses(line: str, refused: Refused) -> None:
    refused(line, LINES[line])


BAD = {
    "flops gpt3 --batch 0": "--batch: must be an integer of at least 1",
    "memory gpt3 --batch 0": "--batch: must be an integer of at least 1",
    "fit gpt3 --gpu h100 --batch 0": "--batch: must be an integer of at least 1",
    "compare gpt3 gpt2 --batch 0": "--batch: must be an integer of at least 1",
    "explain gpt3 state --batch 0": "--batch: must be an integer of at least 1",
    "sweep gpt3 flops.total --over batch=0,1": "--batch: must be an integer of at least 1",
    "flops gpt3 --seq 4096": "4096 tokens exceed the 2048 learned positions",
    "flops gpt3 --mode decode": "--context",
    "flops gpt3 --context 5": "--context",
    "flops gpt3 --target-seq 5": "not an encoder-decoder model",
    "flops gpt3 --recompute full": "--mode train",
    "flops gpt3 --mode trian": "did you mean train?",
    "memory gpt3 --tp 7": "does not divide",
    "memory gpt3 --training --pp 97": "exceeds the number of layers (96)",
    "memory mixtral-8x7b --training --ep 3 --dp 3": "does not divide",
    "memory gpt3 --zero 1": "add --training",
    "memory gpt3 --training --paged 16": "--paged: has no effect in training",
    "memory gpt3 --training --zero 4": "must be one of 0, 1, 2, 3",
    "memory gpt3 --training --sp": "add --tp",
    "memory gpt3 --training --optimizer adamm": "did you mean",
    "memory gpt3 --training --weights nf4": "--lora-rank",
    "memory gpt3 --training --lora-target wq": "--lora-rank",
    "memory gpt3 --weights q4_k_n": "q4_k",
    "memory gpt3 --only mlp": "--weights FORMAT",
    "memory gpt3 --weights nf4 --only mlp --keep mlp": "both quantised and kept",
    "memory gpt3 --weights nf4 --keep moe": "unknown component 'moe'",
    "memory gpt3 --cache fp9": "did you mean fp",
    "memory gpt3 --paged 0": "--paged",
    "fit gpt3": "missing GPU",
    "fit gpt3 --gpu h101": "did you mean h100?",
    "fit gpt3 --gpu a100": "a100-sxm-40gb",
    "fit gpt3 --gpu h100:0": "GPU count must be at least 1",
    "fit gpt3 8 --gpu h100:4": "conflicting GPU counts",
    "fit gpt3 many --gpu h100": "invalid GPU count",
    "fit gpt3 --gpu h100:6 --tp 4 --engine none": "4 ranks, but there are 6",
    "fit gpt3 --gpu h100 --reserve 80": "with its unit",
    "fit gpt3 --gpu h100 --reserve 99GiB": "must be less than the GPU memory",
    "params chinchilla --layout checkpoint": "--layout: the names of the stored tensors are not known",
    "fit gpt3 --gpu 24GB --gpu-memory 30GiB": "--gpu-memory: cannot be combined with a memory size as the GPU",
    "fit gpt3 --gpu h100 --solve quant --weights nf4": "omit --weights",
    "fit gpt3 --gpu h100:4 --solve gpus": "omit the count",
    "fit gpt3 --gpu h100 --gpu l4": "--gpu: is given twice",
    "fit gpt3 --gpu h100 --solve seq --seq 5": "--seq: cannot be set because it is being solved for",
    "fit gpt3 --gpu h100 --solve batch --batch 5": "--batch: cannot be set because it is being solved for",
    "compare gpt3 gpt2 --training --mode decode --context 5": "decode mode cannot be combined with training",
    "explain gpt3 params --seq 5": "--seq: has no effect on params",
    "explain gpt3 flops --tp 2": "--tp: has no effect on flops",
    "explain gpt3 state --cache fp8": "--cache: has no effect on state",
    "sweep gpt3 flops.total --over seq=1 --tp 7": "--tp: has no effect on flops.total",
    "sweep gpt3 memory.peak --over seq=1 --mode decode": "--mode: has no effect on memory.peak",
    "sweep gpt3 flops.total --over seq=1,2 --seq 5": "--seq: cannot be both fixed and swept",
    "sweep gpt3 flops.total --over seq=1 --over seq=2": "appears twice",
    "sweep gpt3 flops.total --over seq=1,4096": "4096 tokens exceed the 2048 learned positions",
    "sweep gpt3 flops.total": "--over",
    "sweep gpt3 flops.total --over seq=1..100M:+1": "--over: more than 1,000,000 values",
    "sweep gpt3 flops.total --over batch=1..200k:+1": "at most 100,000 points are printed",
    "report gpt3 -o - --lengths 1..100M:+1": "--lengths: more than 1,000,000 values",
    "report gpt3 -o - --lengths 1..200:+1": "--lengths: more than 100 sequence lengths",
    "sweep gpt3 flops.totl --over seq=1": "did you mean flops.total",
    "sweep gpt3 flops.total --over sq=1": "did you mean seq",
    "sweep gpt3 flops.total --over seq=1..": "invalid range",
    "hardware show h101": "did you mean h100",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_one_message_and_exit_code_2(line: str, refused: Refused) -> None:
    refused(line, BAD[line])


@pytest.mark.parametrize("line", [line.format("gpt3") for line in PLAIN_FITS])
def test_a_fit_beyond_the_learned_positions_is_a_no(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    from llmcalc.cli.main import main

    assert main([*line.split(), "--seq", "4096"]) == 1
    first = capsys.readouterr().out.replace("\n", " ")
    assert first.startswith(
        "✗ 4096 tokens exceed the 2048 learned positions of gpt3-175b: pass --extend to allow longer"
    )


@pytest.mark.parametrize("line", [line.format("gpt3") for line in LENGTHS if "--solve" not in line])
def test_longer_sequences_are_counted_where_that_is_asked_for(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    from llmcalc.cli.main import main

    assert main([*line.split(), "--seq", "4096", "--extend", "--json"]) in (0, 1)
    assert '"seq": 4096' in capsys.readouterr().out
