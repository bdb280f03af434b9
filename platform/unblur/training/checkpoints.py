"""Checkpoints without pickle: one safetensors file each, written at once, checksummed, on any filesystem."""

import hashlib
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from unblur.files import Piece, filesystem, write_on
from unblur.training.safetensors_stream import pieces

logger = logging.getLogger(__name__)

_NAME = re.compile(r"epoch-(\d{6})-([0-9a-f]{32})\.safetensors")
_META = "unblur"


@dataclass(frozen=True)
class Checkpoint:
    """Training after `epoch` epochs: named tensors, and whatever else is JSON."""

    epoch: int
    tensors: dict[str, Tensor]
    meta: dict[str, Any]


class Checkpoints:
    """The newest `keep` checkpoints of one training run in a folder: a path or a URI such as s3://bucket/prefix.

    The checksum is part of the name, so that a file is either whole under its name or recognised as damaged; a newest
    one that is damaged, or of another kind of training, is passed over for the one before it.
    """

    def __init__(self, folder: str, keep: int = 2) -> None:
        self.folder, self.keep = folder, keep
        self.files, self.root = filesystem(folder)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write atomically and drop what is beyond `keep`. A failure (a full disk, say) is logged: training goes on.

        It costs at most the progress since the last good checkpoint, which stays untouched.
        """
        meta = {_META: json.dumps({"epoch": checkpoint.epoch, **checkpoint.meta})}
        data = pieces(checkpoint.tensors, meta)
        name = f"epoch-{checkpoint.epoch:06d}-{_digest(*data)}.safetensors"
        try:
            write_on(self.files, f"{self.root}/{name}", *data)
        except OSError as error:
            logger.warning("checkpoint of epoch %d not written to %s: %s", checkpoint.epoch, self.root, error)
            return
        for old in [path for path in self._paths() if not path.endswith(name)][self.keep - 1 :]:
            self.files.delete_file(old)

    def newest(self, check: Callable[[Checkpoint], None] = lambda _: None) -> Checkpoint | None:
        """The newest sound checkpoint for which `check` raises no ValueError; None when there is none.

        Each that is passed over is named with the reason.
        """
        for path in self._paths():
            try:
                found = self._read(path)
                check(found)
                return found
            except (OSError, ValueError, SafetensorError) as error:
                logger.warning(
                    "checkpoint %s is set aside, training goes on from the one before it or from its start: %s",
                    path,
                    error,
                )
        return None

    def clear(self) -> None:
        """Delete the folder with everything in it."""
        from pyarrow import fs

        if self.files.get_file_info(self.root).type != fs.FileType.NotFound:
            self.files.delete_dir(self.root)

    def _paths(self) -> list[str]:
        """All checkpoints, newest first."""
        from pyarrow import fs

        found = self.files.get_file_info(fs.FileSelector(self.root, allow_not_found=True))
        return sorted((info.path for info in found if _NAME.fullmatch(info.base_name)), reverse=True)

    def _read(self, path: str) -> Checkpoint:
        matched = _NAME.fullmatch(path.rpartition("/")[2])
        assert matched
        with self.files.open_input_stream(path) as stream:
            data = stream.read()
        if _digest(data) != matched[2]:
            raise ValueError(f"its {len(data)} bytes do not match its checksum")
        tensors = load(data)  # first: it knows every way in which a header can be wrong
        meta = _metadata(data)
        if meta.pop("epoch", None) != int(matched[1]):
            raise ValueError("it is not of the epoch in its name")
        return Checkpoint(int(matched[1]), tensors, meta)


def _metadata(data: bytes) -> dict[str, Any]:
    """What `save` put beside the tensors of a file that safetensors takes; ValueError when it did not."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    try:
        meta = json.loads((header.get("__metadata__") or {}).get(_META, ""))
    except RecursionError:
        meta = None
    if not isinstance(meta, dict):
        raise ValueError("it is not one of ours")
    return meta


def _digest(*data: Piece) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for piece in data:
        digest.update(piece)
    return digest.hexdigest()
