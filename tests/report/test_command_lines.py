"""Command lines in tables, which can be pasted into a shell."""

from __future__ import annotations

import shlex

import pytest

from llmcalc.report.formats.table import wrap_command

COMMAND = (
    "vllm serve Qwen/Qwen2.5-72B-Instruct-AWQ --tensor-parallel-size 2 --kv-transfer-config "
    """'{"kv_connector": "NixlConnector", "kv_role": "kv_both"}' --served-model-name "my model" --max-model-len 8192"""
)


@pytest.mark.parametrize("width", [20, 31, 57, 80, 200])
def test_a_shell_reads_the_lines_as_one_command(width: int) -> None:
    lines = wrap_command(COMMAND, width)
    assert shlex.split("\n".join(lines).replace("\\\n", "")) == shlex.split(COMMAND)
    assert (len(lines) > 1) == (width < len(COMMAND))
    assert all(len(line) <= width or " " not in line.split("'")[0].strip(" \\") for line in lines)
