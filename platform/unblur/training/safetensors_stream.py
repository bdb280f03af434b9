"""A safetensors file as pieces that are the tensors' own memory: `safetensors.save` holds all of it twice more.

The format is a length, a JSON header and the tensors' bytes (https://github.com/huggingface/safetensors#format).
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from unblur.files import Piece

NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
ALIGNMENT = 8


def pieces(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Sequence[Piece]:
    """The file's bytes in order. The tensors must be on the CPU, and stay as they are until the pieces are used."""
    ordered = dict(sorted(tensors.items(), key=lambda pair: -pair[1].element_size()))  # the widest first: all aligned
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    offset = 0
    for name, tensor in ordered.items():
        size = tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return [len(text).to_bytes(8, "little"), text, *map(_memory, ordered.values())]


def _memory(tensor: Tensor) -> memoryview:
    array = tensor.detach().contiguous().numpy()
    return np.ravel(array).view(np.uint8).data
