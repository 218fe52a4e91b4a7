"""What files of training programs mean by recomputation, and verdicts where this is not modelled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.cli.main import main

TITAN = '[job]\n[model]\nname = "llama3"\nflavor = "8B"\n[training]\nlocal_batch_size = 1\nseq_len = 1009\n'
MEGATRON = (
    "pretrain_gpt.py --num-layers 8 --hidden-size 512 --num-attention-heads 8 --seq-length 509 --vocab-size 1021 "
    "--max-position-embeddings 512 --micro-batch-size 1 --bf16 --hidden-dropout 0 --attention-dropout 0 "
)
UNIFORM = f"{MEGATRON} --recompute-granularity full --recompute-method uniform --recompute-num-layers"
BLOCK = f"{MEGATRON} --recompute-method block --recompute-granularity full"
MIXTURE = f"{MEGATRON} --num-experts 4 --moe-grouped-gemm "
NEMO = {
    "trainer": {"devices": 1, "precision": "bf16"},
    "model": {
        "micro_batch_size": 1, "encoder_seq_length": 509, "max_position_embeddings": 512, "num_layers": 8,
        "hidden_size": 512, "num_attention_heads": 8, "hidden_dropout": 0, "attention_dropout": 0,
        "tokenizer": {"type": "GPT2BPETokenizer"},
    },
}  # fmt: skip
FMS = "main_training_llama.py --model_variant=llama2_7b --batch_size=1 "
TUNE = (
    "model: {_component_: torchtune.models.llama3_1.llama3_1_8b}\ncheckpointer: {_component_: a.b}\nbatch_size: 3\n"
    "tokenizer: {max_seq_len: 521}\n"
)

COMPILED = f"{TUNE}compile: true\n".replace("521", "4099")
ADAPTED = (
    "base_model: NousResearch/Meta-Llama-3-8B\nadapter: lora\nlora_r: 7\nlora_target_linear: true\n"
    "lora_modules_to_save: [lm_head]\nsequence_len: 512\n"
)


def titan(mode: str) -> tuple[str, str]:
    return "t.toml", f"{TITAN}[activation_checkpoint]\n{mode}\n"


def nemo(**settings: Any) -> tuple[str, str]:
    return "n.yaml", json.dumps({**NEMO, "model": {**NEMO["model"], **settings}})


CASES: dict[str, tuple[tuple[str, str], str]] = {
    "torchtitan": (("t.toml", TITAN), "layer:2"),
    "torchtitan, selective": (titan('mode = "selective"'), "layer:2"),
    "torchtitan, op": (titan('mode = "selective"\nselective_ac_option = "op"'), "op"),
    "torchtitan, third layer": (titan('mode = "selective"\nselective_ac_option = "3"'), "layer:3"),
    "torchtitan, every layer": (titan('mode = "selective"\nselective_ac_option = 0'), "full"),
    "torchtitan, none": (titan('mode = "none"\nselective_ac_option = "op"'), "none"),
    "torchtitan, full": (titan('mode = "full"\nselective_ac_option = "op"'), "full"),
    "torchtitan, budget": (titan('mode = "memory_budget"'), "unknown"),
    "Megatron": (("m.sh", MEGATRON), "none"),
    "Megatron, activations": (("m.sh", f"{MEGATRON} --recompute-activations"), "selective"),
    "Megatron, selective": (("m.sh", f"{MEGATRON} --recompute-granularity selective"), "selective"),
    "Megatron, full": (
        ("m.sh", f"{UNIFORM} 1"), "full"
    ),
    "Megatron, uniform": (
        ("m.sh", f"{UNIFORM} 4"), "full:4"
    ),
    "Megatron, block": (
        ("m.sh", f"{BLOCK} --recompute-num-layers 3"), "blocks:3"
    ),
    "Megatron, modules": (
        ("m.sh", f"{MIXTURE} --recompute-granularity selective --recompute-modules layernorm moe_act --lr 1e-4"),
        "layernorm,moe_act",
    ),
    "Megatron, unused modules": (("m.sh", f"{MIXTURE} --recompute-modules layernorm moe_act"), "none"),
    "Megatron, unknown module": (
        ("m.sh", f"{MEGATRON} --recompute-granularity selective --recompute-modules core_attn gdn_norm_out"), "unknown"
    ),
    "NeMo, selective": (nemo(activations_checkpoint_granularity="selective"), "selective"),
    "NeMo, block": (
        nemo(activations_checkpoint_granularity="full", activations_checkpoint_method="block",
             activations_checkpoint_num_layers=5), "blocks:5"
    ),
    "NeMo, modules": (nemo(recompute_granularity="selective", recompute_modules=["core_attn", "mlp"]), "core_attn,mlp"),
    "fms-fsdp": (("f.sh", FMS), "none"),
    "fms-fsdp, a share that is not used": (("f.sh", f"{FMS} --selective_checkpointing=1/3"), "none"),
    "fms-fsdp, third": (("f.sh", f"{FMS} --fsdp_activation_checkpointing=True --selective_checkpointing=1/3"),
                        "fraction:1/3"),
    "fms-fsdp, number": (("f.sh", f"{FMS} --fsdp_activation_checkpointing=True --selective_checkpointing=0.5"),
                         "fraction:0.5"),
    "fms-fsdp, all": (("f.sh", f"{FMS} --fsdp_activation_checkpointing=True"), "full"),
    "torchtune": (("u.yaml", TUNE), "none"),
    "torchtune, all": (("u.yaml", f"{TUNE}enable_activation_checkpointing: true\nac_mode: selective\nac_option: 2\n"),
                       "full"),
    "torchtune, second layer": (
        ("u.yaml", f"{TUNE}enable_activation_checkpointing: false\nac_mode: selective\nac_option: 2\n"), "layer:2"
    ),
    "torchtune, full": (("u.yaml", f"{TUNE}enable_activation_checkpointing: false\nac_mode: full\n"), "full"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_recomputation_of_a_file(case: str, tmp_path: Path) -> None:
    (name, text), expected = CASES[case]
    (tmp_path / name).write_text(text, "utf-8")
    found = llmcalc.read_training_file(tmp_path / name)
    assert found.options.get("recompute", "none") == expected
    assert found.unknown == ()


def test_torchtune_trains_adapters_of_the_named_modules(tmp_path: Path) -> None:
    (tmp_path / "u.yaml").write_text(
        "model:\n  _component_: torchtune.models.llama3_1.qlora_llama3_1_8b\n  lora_rank: 13\n"
        "  lora_attn_modules: [q_proj, v_proj, output_proj]\n  apply_lora_to_mlp: true\n"
        "checkpointer: {_component_: a.b}\nbatch_size: 3\ntokenizer: {max_seq_len: 521}\n"
        "loss: {_component_: torchtune.modules.loss.LinearCrossEntropyLoss}\n"
        "optimizer: {_component_: torch.optim.AdamW, fused: true}\nenable_activation_checkpointing: true\n", "utf-8"
    )  # fmt: skip
    found = llmcalc.read_training_file(tmp_path / "u.yaml")
    expected = {
        "batch": 3, "seq": 521, "weights": "nf4-double", "lora_rank": 13, "gradients": "bf16", "loss": "fused",
        "lora_targets": ("wd", "wg", "wo", "wq", "wu", "wv"), "recompute": "full",
    }  # fmt: skip
    ours = llmcalc.memory(found.architecture, **found.settings)
    theirs = llmcalc.memory("llama3.1-8b", mode="training", **expected)
    assert ours.worst.to_dict() == theirs.worst.to_dict()


@pytest.mark.parametrize(
    ("gpu", "first", "code"),
    [
        ("h100:8", "undecided for a training step of 2 sequences of 8,192 tokens: ", 1),
        ("b200:8", "✓ fits a training step of 2 sequences of 8,192 tokens, ", 0),
        ("a100-40gb:8", "✗ does not fit a training step of 2 sequences of 8,192 tokens: ", 1),
    ],
)  # fmt: skip
def test_a_verdict_rests_on_both_bounds(
    gpu: str, first: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.toml"
    path.write_text(
        TITAN.replace("1009", "8192").replace("_size = 1", "_size = 2")
        + '[activation_checkpoint]\nmode = "memory_budget"\n', "utf-8"
    )  # fmt: skip
    assert main(["fit", str(path), gpu]) == code
    line = " ".join(capsys.readouterr().out.split("\n\n")[0].split())
    assert line.startswith(first)
    assert ("is not modelled" in line) is first.startswith("undecided")
    assert main(["fit", str(path), gpu, "--json"]) == code
    found = json.loads(capsys.readouterr().out)["result"]
    none, full = (
        llmcalc.memory("llama3.1-8b", mode="training", batch=2, seq=8192, gradients="fp32", recompute=how,
                       mesh=llmcalc.Mesh(dp=8, zero=3)).peak for how in ("none", "full")
    )  # fmt: skip
    assert (found["least"], found["needed"]) == (full, none)
    assert found["undecided"] is first.startswith("undecided")
    short = found["usable"] - (none if code == 0 else full)
    assert first.startswith("undecided") or f"{abs(short) / 2**30:.3g}"[:3] in line


def test_a_run_says_that_its_recomputation_is_not_modelled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.toml"
    path.write_text(
        TITAN.replace("1009", "8192").replace("_size = 1", "_size = 2")
        + '[activation_checkpoint]\nmode = "memory_budget"\n', "utf-8"
    )  # fmt: skip
    main(["train", str(path), "--gpu", "h100:8", "--dp", "8", "--zero", "3", "--tokens", "1B"])
    assert capsys.readouterr().out.startswith("undecided: 42.78 GiB to 120.8 GiB per GPU, of 78.11 GiB; what is")


@pytest.mark.parametrize(
    ("name", "text", "gpu", "first"),
    [
        ("u.yaml", COMPILED, "160GiB", "✓ fits a training step of 3 sequences of 4,099 tokens, "),
        ("u.yaml", COMPILED, "70GiB", "undecided for a training step of 3 sequences of 4,099 tokens: "),
        ("u.yaml", COMPILED, "60GiB", "✗ does not fit a training step of 3 sequences of 4,099 tokens: "),
        ("a.yml", ADAPTED, "40GiB", "undecided for a training step of 1 sequence of 512 tokens: at least "),
        ("a.yml", ADAPTED, "16GiB", "✗ does not fit a training step of 1 sequence of 512 tokens: "),
    ],
)  # fmt: skip
def test_a_verdict_holds_for_both_bounds_of_an_option(
    name: str, text: str, gpu: str, first: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A compiler saves at most activations and logits. Further trained modules need more, by an unknown amount."""
    (tmp_path / name).write_text(text, "utf-8")
    assert main(["fit", str(tmp_path / name), gpu]) == (0 if first.startswith("✓") else 1)
    line = " ".join(capsys.readouterr().out.split("\n\n")[0].split())
    assert line.startswith(first)
    assert ("not modelled" in line) is first.startswith("undecided")
