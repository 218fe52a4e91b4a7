"""Layouts of a training step as arrays, with their time and their memory.

Layouts with equal ranks of tensor, sequence, expert and context parallelism and as many stages share the operations and
collectives of a micro-batch, which are computed once for each size of a micro-batch. What else differs is an axis of
an array each:

micro-batch           operations and collectives of a pass, and the number of micro-batches
recomputation         what runs again, and the saved tensors
virtual stages        what is sent between stages, the bubble, and the micro-batches in flight
ZeRO and its groups   collectives of replicas, the optimizer, and the memory of states
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from ..calc.collectives import ALL_TO_ALL, BACKWARD, FORWARD, Collective
from ..calc.communication import stage_collectives
from ..calc.memory.peaks import Replicas, StagePeaks
from ..calc.memory.pipeline import one_f_one_b_in_flight
from ..calc.pipeline_stages import layers_of, pipeline_stages
from ..calc.recomputed_work import RecomputedWork
from ..calc.sharding import Mesh
from ..calc.touched_experts import expert_layers
from ..calc.work import works
from ..core.architecture import Architecture
from ..core.errors import LlmcalcError
from ..core.record import NamedTuple, changed, record
from ..core.workload import Workload
from ..fitting.layouts import divisors
from ..kernels.layer_operations import operations
from ..kernels.operations import Gemm
from ..training.layouts import kernels_on
from ..training.programs import coefficients
from ..training.run import Run
from ..training.schedule import Shape, StageWork, Work, schedule
from ..training.step import CONVENTIONS, CP, DP, EP, GROUPS, PP, TP, exchange_seconds

RECOMPUTATIONS = "none", "selective", "full"
MOST_SEQUENCES = 64  # of a micro-batch
LEAST_TOKENS = 1024  # of a sequence on a context-parallel rank
NAMES = (
    "tp", "pp", "dp", "cp", "ep", "etp", "sp", "virtual_stages", "micro_batch", "recompute", "zero", "zero_group",
)  # fmt: skip
