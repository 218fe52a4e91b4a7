"""Headers of weight files: names, shapes, types and offsets of tensors, never their values.

Only the start of a file is read, within the bounds of ``limits``; nothing is executed or unpickled.
"""

from __future__ import annotations

from .tensor_info import GGUF, SAFETENSORS, FileHeader, Headers, TensorInfo, is_weights

__all__ = ["GGUF", "SAFETENSORS", "FileHeader", "Headers", "TensorInfo", "is_weights"]
