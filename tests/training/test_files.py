"""Files of training programs give the numbers of a written ``memory`` call, and every key that is not read is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

import llmcalc
from llmcalc import InputError, Mesh
from llmcalc.cli.main import main
from llmcalc.importers.training_files import find_training_file, parse_training_file
from llmcalc.importers.training_programs import programs
from tests.training.training_file_cases import CASES, SIZED

Write = Callable[[str, str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, text: str) -> str:
        (tmp_path / name).write_text(text, "utf-8")
        return str(tmp_path / name)

    return written


@pytest.mark.parametrize("case", SIZED)
def test_sizes_in_a_file_give_the_memory_of_the_model(case: str, write: Write) -> None:
    name, text, model, arguments = SIZED[case]
    found = llmcalc.read_training_file(write(name, text))
    assert not found.unknown
    assert not found.unmodelled
    assert llmcalc.params(found.architecture).total == llmcalc.params(model).total
    ours = llmcalc.memory(found.architecture, **found.settings)
    theirs = llmcalc.memory(model, mode="training", **arguments)
    sizes = ("peak", "weights", "gradients", "optimizer", "activations")
    assert {name: getattr(ours, name) for name in sizes} == {name: getattr(theirs, name) for name in sizes}


@pytest.mark.parametrize("case", CASES)
def test_a_file_gives_the_memory_of_a_written_call(case: str, write: Write) -> None:
    name, text, model, arguments = CASES[case]
    found = llmcalc.read_training_file(write(name, text))
    assert found.architecture.name == llmcalc.load(model).name
    assert not found.unknown
    assert not found.architecture.warnings
    ours = llmcalc.memory(found.architecture, **found.settings)
    theirs = llmcalc.memory(model, mode="training", **arguments)
    assert ours.to_dict() == theirs.to_dict()


DEEPSPEED = {
    "ZeRO-2": ({"zero_optimization": {"stage": 2, "overlap_comm": True}, "bf16": {"enabled": True},
                "train_micro_batch_size_per_gpu": 3, "gradient_accumulation_steps": 5, "train_batch_size": 105},
               {"batch": 3, "mesh": Mesh(dp=7, zero=2, micro_batches=5)}),
    "fp32 gradients": ({"train_batch_size": 14, "train_micro_batch_size_per_gpu": 2, "fp16": {"enabled": True},
                        "gradient_accumulation_steps": 1, "data_types": {"grad_accum_dtype": "fp32"},
                        "optimizer": {"type": "Lion", "params": {"lr": "auto"}}},
                       {"batch": 2, "dtype": "fp16", "gradients": "fp32", "optimizer": "lion", "mesh": Mesh(dp=7)}),
    "auto": ({"train_batch_size": "auto", "train_micro_batch_size_per_gpu": "auto", "bf16": {"enabled": "auto"},
              "zero_optimization": {"stage": 3}}, {"mesh": Mesh(dp=7, zero=3)}),
}  # fmt: skip


@pytest.mark.parametrize("case", DEEPSPEED)
def test_a_file_of_deepspeed_needs_a_model(case: str, write: Write) -> None:
    data, arguments = DEEPSPEED[case]
    path = write("ds.json", json.dumps(data))
    with pytest.raises(InputError, match="names no model"):
        llmcalc.read_training_file(path)
    found = llmcalc.read_training_file(path, "gpt2", gpus=7)
    theirs = llmcalc.memory("gpt2", mode="training", **arguments)
    assert llmcalc.memory(found.architecture, **found.settings).to_dict() == theirs.to_dict()


def test_a_file_names_the_file_of_deepspeed(write: Write) -> None:
    text = "base_model: Qwen/Qwen3-0.6B\nsequence_len: 499\ndeepspeed: {}\n"
    write("own.json", json.dumps({"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}}}))
    ours = llmcalc.read_training_file(write("a.yml", text.format("own.json")), dp=3)
    assert ours.settings["mesh"] == Mesh(dp=3, zero=2)
    assert (ours.unmodelled, ours.settings["offload"]) == ((), "optimizer")
    theirs = llmcalc.read_training_file(write("a.yml", text.format("deepspeed_configs/zero3_bf16.json")), dp=3)
    assert theirs.settings["mesh"] == Mesh(dp=3, zero=3)
    inner = "{zero_optimization: {stage: 1}, bf16: {enabled: auto}}"
    assert llmcalc.read_training_file(write("a.yml", text.format(inner)), dp=3).settings["mesh"].zero == 1
    with pytest.raises(InputError, match=r"missing\.json was not found"):
        llmcalc.read_training_file(write("a.yml", text.format("missing.json")))
    assert llmcalc.read_training_file(write("a.yml", text.format("missing.json")), dp=3, zero=1).options["zero"] == 1


@pytest.mark.parametrize("path", ["a\0b.yml", "\ud800"])
def test_a_path_that_no_file_can_have_is_refused(path: str) -> None:
    with pytest.raises(InputError, match=r"invalid path|file name"):
        llmcalc.read_training_file(path)


def test_a_file_in_a_parent_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "examples" / "deepspeed").mkdir(parents=True)
    (tmp_path / "examples" / "deepspeed" / "own.json").write_text('{"zero_optimization": {"stage": 2}}', "utf-8")
    path = tmp_path / "examples" / "a.yml"
    path.write_text("base_model: Qwen/Qwen3-0.6B\ndeepspeed: examples/deepspeed/own.json\n", "utf-8")
    assert llmcalc.read_training_file(path, dp=3).options["zero"] == 2


def test_arguments_in_yaml_are_flags(write: Write) -> None:
    sizes = "--num-layers: 2\n  --hidden-size: 64\n  --num-attention-heads: 4\n  --vocab-size: 1009\n"
    text = f"ENV_VARS:\n  A: 1\nMODEL_ARGS:\n  {sizes}  --max-position-embeddings: 31\n  --micro-batch-size: 3\n"
    found = llmcalc.read_training_file(write("a.yaml", f"{text}  --bf16: true\n  --seq-length: 29\n"))
    assert (found.options["batch"], found.options["seq"], found.options["gradients"]) == (3, 29, "fp32")
    assert found.architecture.main.n_layers == 2
    with pytest.raises(InputError, match="its sizes do not describe a model with hybrid_layer_pattern"):
        llmcalc.read_training_file(write("a.yaml", f"{text}  --hybrid-layer-pattern: M*M*\n"))
    assert llmcalc.read_training_file(write("a.yaml", f"{text}  --hybrid-layer-pattern: M*M*\n"), "gpt2").unmodelled


def test_settings_without_effect_are_stated(write: Write) -> None:
    path = write("a.yml", "base_model: Qwen/Qwen3-0.6B\nsequence_len: 499\nfsdp: [full_shard, auto_wrap]\n")
    (warning,) = llmcalc.read_training_file(path).architecture.warnings
    assert "zero 3 has no effect on a single data-parallel rank" in warning
    assert not llmcalc.read_training_file(path, gpus=3).architecture.warnings


def test_unknown_and_uncomputed_keys_are_named(write: Write) -> None:
    text = "base_model: Qwen/Qwen3-0.6B\nsequence_len: 499\nflux: 1\nwarp: {drive: 2}\nqat: {group_size: 32}\n"
    found = llmcalc.read_training_file(write("a.yml", text))
    assert found.unknown == ("flux", "warp.drive")
    assert found.unmodelled == ("qat.group_size",)
    assert found.architecture.warnings == (
        "the effect of these keys is not computed: qat.group_size", "unknown keys of Axolotl: flux, warp.drive",
    )  # fmt: skip
    with pytest.raises(InputError, match=r"unknown Axolotl keys 'flux', 'warp\.drive'"):
        llmcalc.read_training_file(write("a.yml", text), strict=True)
    with pytest.raises(InputError, match="unknown Axolotl key 'micro_batch_sise'") as caught:
        llmcalc.read_training_file(write("a.yml", f"{text}micro_batch_sise: 3\n"))
    assert "micro_batch_size" in caught.value.hint
    with pytest.raises(InputError, match="unknown Axolotl key 'micro_batchsize'"):  # beside the right key
        llmcalc.read_training_file(write("a.yml", f"{text}micro_batch_size: 3\nmicro_batchsize: 2\n"))
    allowed = llmcalc.read_training_file(
        write("a.yml", f"{text}micro_batch_sise: 3\n"), allow_unknown=["micro_batch_sise"]
    )
    assert "micro_batch_sise" in allowed.unknown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base_model: gpt2\nsequence_len: many", r"a\.yml:2:\d+: sequence_len: must be an integer of at least 1"),
        ("base_model: gpt2\nmicro_batch_size: true", "must be an integer"),
        ("base_model: gpt2\nmicro_batch_size: 0", "of at least 1"),
        ("base_model: gpt2\noptimizer: adamw_torch_4bit", "'adamw_torch_4bit' is not supported"),
        ("base_model: gpt2\nbf16: sometimes", "'sometimes' is not supported"),
        ("base_model: [gpt2]", "must be a non-empty string"),
        ("base_model: gpt2\nadapter: lora", "has adapters without a rank"),
        ("base_model: gpt2\nadapter: lora\nlora_r: 3\nlora_target_modules: [x_proj]", "unknown matrix 'x_proj'"),
        ("base_model: no-such-model", "unknown model"),
        ("base_model: gpt2\nbase_model: gpt2", "duplicate key"),
        ("base_model: gpt2\nfsdp: {a: 1}\ndeepspeed: 3", "must be a file name or a mapping"),
        ("base_model: gpt2\nbatch_size: 7\nmicro_batch_size: 2", "global batch size"),
        ("model_name_or_path: gpt2\nlearning_rate: 1e-5", "may be a file of"),
        ("nothing: 1", "is not a file of a known training program"),
        ("[1, 2]", "must contain keys and values"),
        ("a: &a [*a]", "alias"),
        ("base_model: gpt2\n" + "\n".join(f"k{number}: 1" for number in range(2000)), "more than 500"),
        ("base_model: gpt2\n" + " " * 300_000, "exceeds the limit"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_error(text: str, message: str, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("a.yml", text)
    with pytest.raises(InputError, match=message):
        llmcalc.read_training_file(path)
    assert main(["memory", path]) == 2
    assert main(["fit", "gpt2", "h100", "--training-file", path]) in (0, 2)
    assert "Traceback" not in capsys.readouterr().err


SIZES = ("positions", "norm", "activation", "gated", "bias", "qkv_bias", "tied", "qk_norm", "grouped", "latent")
VALUES = (None, True, False, "", "x", "auto", -1, 0, 3.5, 1e300, 10**30, [], [1], ["a", {"b": 1}], {}, {"a": {"b": []}})


@pytest.mark.parametrize("program", programs())
@pytest.mark.parametrize("suffix", ["json", "yml"])
def test_wrong_values_are_errors(program: str, suffix: str, write: Write) -> None:
    random, keys = Random(7), programs()[program].keys
    for _ in range(150):
        data: dict[str, Any] = {programs()[program].signature[0]: "gpt2"}
        for key in random.sample(sorted(keys), min(4, len(keys))):
            inner = data
            *parents, last = key.split(".")
            for parent in parents:
                if not isinstance(inner.setdefault(parent, {}), dict):
                    inner[parent] = {}
                inner = inner[parent]
            inner[last] = random.choice(VALUES)
        with suppress(InputError):
            path = write(f"f.{suffix}", json.dumps(data))
            llmcalc.read_training_file(path, "gpt2", gpus=random.choice((None, 1, 7)))


@pytest.mark.parametrize("program", programs())
def test_every_value_has_a_setting(program: str) -> None:
    from llmcalc.data import table
    from llmcalc.importers.training_programs import KINDS
    from llmcalc.training.files import SETTINGS

    table_of = programs()[program]
    optimizers = {None, "unmodelled", *table("optimizers")}
    known = {setting.name for setting in SETTINGS}
    for key, rule in table_of.keys.items():
        values = rule.get("values") or {}
        found = (table_of.maps[values] if isinstance(values, str) else values).values()
        if rule.get("to") == "optimizer":
            named = {each["optimizer"] if isinstance(each, dict) else each for each in found}
            assert named <= optimizers, key
        for meaning in found:
            names = set(meaning) if isinstance(meaning, dict) else set()
            assert names <= known | KINDS.keys() | {"engine", "stored", "loaded", *SIZES}, key


def test_presets_and_configs_are_not_training_files(write: Write) -> None:
    config = write("config.json", '{"model_type": "gpt2", "n_layer": 2}')
    assert find_training_file(config) is None
    assert find_training_file("gpt2") is None
    assert find_training_file(write("p.yaml", "architecture: {}\nname: a\nbase_model: gpt2\n")) is None
    assert parse_training_file(write("a.yml", "base_model: gpt2")).program.title == "Axolotl"


def test_options_override_the_file(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("a.yml", "base_model: openai-community/gpt2\nsequence_len: 499\nmicro_batch_size: 3\n")

    def peak(line: str) -> tuple[int, dict[str, Any]]:
        assert main([*line.split(), "--json"]) == 0
        data = json.loads(capsys.readouterr().out)
        return data["result"]["peak"], data["inputs"]

    found, inputs = peak(f"memory {path} --batch 5 --optimizer sgd")
    assert found == peak("memory gpt2 --training --seq 499 --batch 5 --optimizer sgd --convention torch")[0]
    assert inputs["training_file"]["settings"]["batch"] == 5
    assert inputs["training_file"]["program"].startswith("Axolotl")
    assert peak(f"memory gpt1 --training-file {path}")[1]["model"] == llmcalc.load("gpt1").name
    assert main(["fit", path, "h100:3", "--all"]) == 0
    out = capsys.readouterr().out
    assert "settings: batch 3 · seq 499" in out
    assert "3 ranks: dp 3" in out


def test_fit_solves_for_a_setting_of_the_file(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("a.yml", "base_model: Qwen/Qwen3-8B\nsequence_len: 499\nfsdp: [full_shard]\n")

    def solved(line: str) -> Any:
        assert main([*f"fit {path} {line} --json".split()]) == 0
        return json.loads(capsys.readouterr().out)["result"]

    found = llmcalc.fit("qwen3-8b", "h100", solve="gpus", training=True, zero=3, seq=499).solution
    assert found is not None
    assert solved("h100 --solve gpus")["value"] == found.value
    assert solved("h100:3 --solve seq")["value"] > 499
    assert solved("--gpu all")["gpus"]


def test_other_commands_name_the_program(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["params", write("a.yml", "base_model: gpt2\nsequence_len: 499\n")]) == 2
    assert "is a file of Axolotl, not a model" in capsys.readouterr().err
    assert main(["flops", write("a.toml", "[job]\n[parallelism]\n")]) == 2
    assert "is a file of torchtitan, not a model" in capsys.readouterr().err


def test_train_reads_the_steps(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    text = "base_model: openai-community/gpt2\nsequence_len: 499\nmicro_batch_size: 3\nmax_steps: 11\n"
    path = write("a.yml", f"{text}gradient_accumulation_steps: 5\n")
    for gpu, ranks in (("", 1), (" --gpu h100:7", 7)):
        assert main([*f"train {path}{gpu} --json".split()]) == 0
        data = json.loads(capsys.readouterr().out)["result"]
        assert data["tokens"] == 499 * 3 * 5 * 11 * ranks
        assert data["steps"] == 11


def test_train_computes_the_memory_with_the_settings_of_the_file(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "base_model: openai-community/gpt2\nsequence_len: 499\nmicro_batch_size: 3\nmax_steps: 11\n"
    path = write("a.yml", f"{text}adapter: lora\nlora_r: 7\n")
    found = llmcalc.read_training_file(path, gpus=5)
    assert main([*f"train {path} --gpu h100:5 --json".split()]) == 0
    data = json.loads(capsys.readouterr().out)
    memory = llmcalc.memory(found.architecture, **found.settings)
    allocator = (memory.peak - memory.weights - memory.optimizer) // 8
    assert data["result"]["fit"]["needed"] == memory.peak + allocator
    run = llmcalc.train("gpt2", data["result"]["tokens"], seq=499, lora_rank=7, lora_targets=["wq", "wk", "wv"])
    assert data["result"]["compute"] == run.compute < run.step.matmul


def test_a_file_without_the_key_of_its_model_is_recognised(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("a.yml", "load_in_4bit: true\nadapter: qlora\nlora_r: 7\nsequence_len: 499\n")
    assert main(["fit", path, "--gpu", "h100"]) == 2
    printed = capsys.readouterr().err
    assert "looks like a file of Axolotl, but names no model" in printed
    assert "add base_model" in printed
    found = llmcalc.read_training_file(path, "gpt2")
    assert (found.options["weights"], found.options["lora_rank"], found.options["seq"]) == ("nf4", 7, 499)
    assert find_training_file(write("b.yml", "sequence_len: 499\nn_layers: 2\n")) is None


def test_train_requires_the_number_of_steps_or_tokens(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("a.yml", "base_model: meta-llama/Meta-Llama-3-8B\nsequence_len: 499\n")
    assert main(["train", path]) == 2
    printed = capsys.readouterr().err
    assert "a.yml: states no number of steps" in printed
    assert "--tokens" in printed
    assert main(["train", path, "--tokens", "1B", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["result"]["tokens"] == 10**9


def test_checkpoints_of_adapters_contain_only_these(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    text = "base_model: openai-community/gpt2\nsequence_len: 499\nmax_steps: 11\n"
    path = write("a.yml", f"{text}adapter: lora\nlora_r: 7\n")
    assert main(["train", path, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["result"]
    found = llmcalc.read_training_file(path)
    with_adapters, plain = (
        llmcalc.memory(found.architecture, **settings).weights
        for settings in (found.settings, {"mode": "training", "seq": 1})
    )
    assert data["weights_bytes"] == with_adapters - plain > 0
    assert data["resume_bytes"] == 3 * data["weights_bytes"]  # fp32 weights and two fp32 states
    assert main(["train", path]) == 0
    assert "adapters and optimizer states" in capsys.readouterr().out


ACCELERATE: dict[str, tuple[str, dict[str, Any]]] = {  # keys of huggingface/trl: examples/accelerate_configs
    "FSDP": (
        "distributed_type: FSDP\nmixed_precision: bf16\nnum_processes: 7\ndowncast_bf16: 'no'\n"
        "fsdp_config:\n  fsdp_version: 2\n  fsdp_reshard_after_forward: true\n  fsdp_activation_checkpointing: true\n",
        {"recompute": "full", "mesh": Mesh(dp=7, zero=3)},
    ),
    "FSDP of version 1": (
        "distributed_type: FSDP\nmixed_precision: bf16\nnum_processes: 7\n"
        "fsdp_config:\n  fsdp_sharding_strategy: SHARD_GRAD_OP\n  fsdp_backward_prefetch: BACKWARD_PRE\n",
        {"mesh": Mesh(dp=7, zero=2)},
    ),
    "context parallelism": (
        "distributed_type: FSDP\nmixed_precision: bf16\nnum_processes: 6\nfsdp_config:\n  fsdp_version: 2\n"
        "parallelism_config:\n  parallelism_config_dp_replicate_size: 1\n  parallelism_config_dp_shard_size: 3\n"
        "  parallelism_config_tp_size: 1\n  parallelism_config_cp_size: 2\n",
        {"mesh": Mesh(dp=3, cp=2, zero=3)},
    ),
    "sequence parallelism": (
        "distributed_type: DEEPSPEED\nmixed_precision: bf16\nnum_processes: 6\ndeepspeed_config:\n  zero_stage: 3\n"
        "parallelism_config:\n  parallelism_config_dp_replicate_size: 1\n  parallelism_config_dp_shard_size: 3\n"
        "  parallelism_config_cp_size: 1\n  parallelism_config_sp_size: 2\n",
        {"mesh": Mesh(dp=3, cp=2, zero=3)},
    ),
    "DeepSpeed": (
        "distributed_type: DEEPSPEED\nmixed_precision: fp16\nnum_processes: 7\n"
        "deepspeed_config:\n  zero_stage: 1\n  gradient_accumulation_steps: 5\n  offload_param_device: none\n",
        {"dtype": "fp16", "mesh": Mesh(dp=7, zero=1, micro_batches=5)},
    ),
    "several GPUs": (
        "distributed_type: MULTI_GPU\nmixed_precision: bf16\nnum_processes: 7\n"
        "parallelism_config:\n  parallelism_config_dp_replicate_size: 1\n  parallelism_config_dp_shard_size: 1\n",
        {"gradients": "fp32", "mesh": Mesh(dp=7)},
    ),
    "Megatron-LM": (
        "distributed_type: MEGATRON_LM\nmixed_precision: bf16\nnum_processes: 12\nmegatron_lm_config:\n"
        "  megatron_lm_tp_degree: 2\n  megatron_lm_pp_degree: 3\n  megatron_lm_num_micro_batches: 5\n"
        "  megatron_lm_sequence_parallelism: true\n  megatron_lm_use_distributed_optimizer: true\n",
        {"mesh": Mesh(dp=2, tp=2, pp=3, sp=True, zero=1, micro_batches=5)},
    ),
    "one GPU": (
        "compute_environment: LOCAL_MACHINE\ndistributed_type: 'NO'\nmixed_precision: 'no'\n",
        {"dtype": "fp32"},
    ),
}


@pytest.mark.parametrize("case", ACCELERATE)
def test_a_file_of_accelerate_has_the_layout(case: str, write: Write) -> None:
    text, arguments = ACCELERATE[case]
    found = llmcalc.read_training_file(write("a.yaml", text), "gpt2", batch=3)
    assert not found.unmodelled
    assert not found.unknown
    theirs = llmcalc.memory("gpt2", mode="training", batch=3, **arguments)
    assert llmcalc.memory(found.architecture, **found.settings).to_dict() == theirs.to_dict()


def test_a_file_of_accelerate_names_one_of_deepspeed(write: Write) -> None:
    write("ds.json", json.dumps({"zero_optimization": {"stage": 1}}))
    text = "distributed_type: DEEPSPEED\nnum_processes: 7\ndeepspeed_config: {deepspeed_config_file: ds.json}\n"
    assert llmcalc.read_training_file(write("a.yaml", text), "gpt2").settings["mesh"] == Mesh(dp=7, zero=1)


def test_offload_of_accelerate_is_read(write: Write) -> None:
    text = "distributed_type: FSDP\nnum_processes: 7\nfsdp_config: {fsdp_offload_params: true}\nfsdp_confg: 3\n"
    with pytest.raises(InputError, match="fsdp_confg"):
        llmcalc.read_training_file(write("a.yaml", text), "gpt2", strict=True)
    found = llmcalc.read_training_file(write("a.yaml", text.replace("fsdp_confg: 3\n", "")), "gpt2")
    assert (found.unmodelled, found.settings["offload"]) == ((), "weights")
