"""Settings of ``train``, ``rl`` and ``scale``, each declared once, in the order of the command line."""

from __future__ import annotations

from ..calc.sharding import MESH
from ..core.record import changed
from ..core.setting import AMOUNT, SEQ, TEXTS, Setting
from .serving_settings import CALIBRATION as SERVING_CALIBRATION
from .settings import ADAPTERS, GPU, RECOMPUTE, TOKENS

OF_GPU = ("gpus",)
ALGORITHMS, ROLLOUTS = ("grpo", "ppo"), ("colocate", "separate")
LAW_SEQ = 4096  # default tokens per sequence for laws that count attention [deepseek2024, Table 3]
LAYOUT_NAMES = (  # settings of a layout of ``plan``, each an argument of ``step_time``
    "tp", "pp", "dp", "cp", "ep", "etp", "sp", "virtual_stages", "micro_batch", "recompute", "zero", "zero_group",
)  # fmt: skip
# GPUs of a training run and their use
MFU = Setting("mfu", AMOUNT, metavar="SHARE",
              help="Model FLOPs utilisation, such as 40% (default: estimated or published).")  # fmt: skip
PRECISION = Setting(
    "precision", metavar="FORMAT",
    help="Number format of matrix products (default: 16-bit, or a format with published MFU).",
)  # fmt: skip
PRICE = Setting("price", float, above=0, needs=OF_GPU, metavar="DOLLARS", example="2.50",
                help="Price in US dollars per GPU-hour (default: quoted prices).")  # fmt: skip
MEASURED_TIME = (
    Setting("step_time", AMOUNT, needs=(*OF_GPU, "step_tokens"), metavar="TIME",
            help="Measured time of a step, such as 12.3s (needs the tokens of a step)."),
    Setting("tokens_per_s", AMOUNT, needs=OF_GPU, metavar="AMOUNT", option="tokens-per-second",
            help="Measured tokens per second on all GPUs, such as 400k."),
    Setting("hours", AMOUNT, needs=OF_GPU, metavar="AMOUNT", option="gpu-hours",
            help="Measured GPU-hours of the run, such as 2.4M."),
)  # fmt: skip
BATCH_TOKENS = Setting("batch_tokens", AMOUNT, metavar="AMOUNT", help="Tokens per optimizer step, such as 4M.")
ENERGY = (
    Setting("watts", float, above=0, needs=OF_GPU, metavar="W", example="1.1",
            help="Measured power per GPU in W (default: the rated power)."),
    Setting("pue", float, least=1, needs=(*OF_GPU, "carbon"), metavar="RATIO", example="1.1",
            help="Power usage effectiveness of the data centre, such as 1.1."),
    Setting("carbon", float, least=0, needs=(*OF_GPU, "pue"), metavar="KG", example="1.1",
            help="Carbon intensity in kg CO2e per kWh, such as 0.385."),
)  # fmt: skip
MICRO_BATCH = Setting(
    "micro_batch", int, 1, least=1, needs=(*OF_GPU, "mesh"), option="micro-batch-size",
    help="Sequences per micro-batch on each rank (for the memory estimate).",
)  # fmt: skip
CALIBRATION = changed(
    SERVING_CALIBRATION,
    part="",
    needs=OF_GPU,
    help="Calibrate steps with the factor of your own measurements (llmcalc calibrate).",
)
STACK = Setting("stack", str, needs=OF_GPU, metavar="NAME", complete="training_programs",
                help="Training program, such as megatron-core (default: any, with a wider interval).")  # fmt: skip
ZERO_GROUP = Setting(
    "zero_group", int, least=1, needs=(*OF_GPU, "mesh", "zero_3"),
    help="Data-parallel ranks that share the weights with ZeRO-3 (default: all).",
)  # fmt: skip
NETWORK = Setting(
    "network_gbytes_per_gpu",
    float,
    above=0,
    metavar="GB",
    example="50",
    help="Network of one GPU in each direction, in GB/s.",
)
STEP = (
    Setting("batch", int, least=1, help="Sequences of a step on all GPUs."),
    changed(MICRO_BATCH, default=None, needs=(), help="Sequences per micro-batch on each rank (default: the fastest)."),
    Setting("seq", int, least=1, help="Sequence length in tokens."),
    changed(RECOMPUTE, needs=()),
    Setting("attention", str, choices=("flash", "eager"), help="Attention: flash, or eager if scores are stored."),
    changed(ZERO_GROUP, needs=()),
    NETWORK,
    Setting("dispatcher", str, choices=("deepep", "all-to-all"), help="Kernels that send tokens to experts."),
    changed(STACK, needs=()),
    Setting("compile", bool, False, help="A compiler fuses functions."),
)
OF_MESH = tuple(each for each in MESH if each.name not in ("micro_batches", "vocabulary_multiple"))
TIMED_STEP = (changed(GPU, kind=str, needs=()), *OF_MESH, *STEP, PRECISION, *ADAPTERS)  # of ``step_time``
PLAN_GPU = changed(GPU, kind=str, needs=())
PLAN = (
    changed(BATCH_TOKENS, help="Tokens per optimizer step, such as 4M (default: the usual number)."),
    SEQ,
    Setting("rank", str, "time", choices=("time", "mfu", "memory", "money"),
            help="Order of the layouts: by time of a step (default), MFU, memory per GPU or money."),
    Setting("fix", TEXTS, (), metavar="NAME=VALUE",
            help="Only layouts with this setting of a step, such as tp=8,recompute=full. Repeatable."),
    Setting("include", TEXTS, (), metavar="NAME=VALUE",
            help="Also show where the best layout with these settings ranks, such as tp=8,pp=8."),
    Setting("max_pp", int, least=1, help="Largest number of pipeline stages."),
    Setting("node", int, least=1, help="GPUs with fast links to each other (default: those of the usual server)."),
    NETWORK,
    changed(STACK, needs=()),
    PRECISION,
    changed(PRICE, needs=()),
)  # fmt: skip
RL_GPU = changed(
    GPU, kind=str, needs=(), help="GPU name or memory of one GPU, with an optional count: h100:8 or 80GiB."
)
RL = (
    Setting("algorithm", str, "grpo", choices=ALGORITHMS,
            help="Algorithm (default: grpo). ppo adds a critic and a reward model."),
    Setting("rollout", str, "colocate", choices=ROLLOUTS,
            help="Engine on the GPUs of the trainer (default), or on others."),
    Setting("completions", int, least=1, help="Completions per prompt, the size of a group (default: 8)."),
    Setting("prompt", int, least=1, typed=str, metavar="TOKENS", help="Tokens of a prompt (default: 512)."),
    Setting("completion", int, least=1, typed=str, metavar="TOKENS", help="Tokens of a completion (default: 256)."),
    Setting("micro_batch", int, least=1, help="Completions in a backward pass on one GPU (default: a group)."),
    Setting("share", float, above=0, metavar="SHARE",
            help="Share of a GPU for the engine (default: 0.3; on GPUs of its own, that of the engine)."),
    Setting("sleep", int, least=0, metavar="LEVEL",
            help="Sleep level of the engine during training: 0 (default), 1 or 2."),
    Setting("reference", bool, help="Keep a reference model (always with ppo; with LoRA it takes no memory)."),
    Setting("offload", bool, help="Keep weights and optimizer in host memory during the rollout."),
    Setting("engine_tp", int, least=1, help="Tensor-parallel ranks of the engine (default: 1)."),
)  # fmt: skip
BUDGETS = (
    Setting("compute", AMOUNT, metavar="AMOUNT", help="Training compute, such as 1e24 (FLOPs) or 3640PF-days."),
    Setting("days", AMOUNT, metavar="N", help="Budget in days of training on the GPUs set by {gpu}."),
    changed(MEASURED_TIME[-1], needs=(), help="Budget in GPU-hours on the GPUs set by {gpu}, such as 1M."),
    Setting("dollars", AMOUNT, metavar="AMOUNT", help="Budget in US dollars, at {price} per GPU-hour."),
)  # fmt: skip
PARAMETERS = Setting("parameters", AMOUNT, metavar="AMOUNT", option="params", example="70B",
                     help="Number of parameters, such as 70B.")  # fmt: skip
SCALE = (
    changed(TOKENS, least=None, example="15T", help="Number of training tokens, such as 15T."),
    Setting("loss", float, metavar="LOSS", example="1.9", help="Target loss in nats per token."),
    Setting("unique", AMOUNT, metavar="AMOUNT", example="1T",
            help="Number of unique training tokens; training on more tokens repeats the data."),
    Setting("inference", AMOUNT, metavar="AMOUNT", example="10T",
            help="Number of tokens processed during serving, such as 10T."),
    Setting("inference_cost", float, usual=1.0, needs=("inference",), metavar="RATIO", example="1.5",
            help="Cost of a serving FLOP relative to a training FLOP (default: 1)."),
    Setting("n_experts", float, metavar="N", example="8",
            help="Ratio of total to active experts (default: the model's ratio, or dense if no model is given)."),
    Setting("granularity", float, needs=("sparse",), metavar="N", example="4",
            help="Ratio of dense layer width to expert width (default: 1)."),
    Setting("over", TEXTS, (), metavar="NAME=VALUES",
            help="Sizes of an iso-FLOP curve, such as params=1B,2B,4B or params=1B..64B:x2. Repeatable."),
)  # fmt: skip
LAWS = Setting("laws", TEXTS, metavar="NAME", option="law", complete="laws",
               help="Scaling law, or all (default: a standard selection). Repeatable.")  # fmt: skip
LAW_LENGTH = Setting("seq", int, LAW_SEQ, least=1, needs=("model",), help="Sequence length in tokens.")
