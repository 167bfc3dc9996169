"""The archives of a data set as they were published, checked by the sums that tensorflow-datasets knows of its downloads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from nmepkg.errors import UserError
from nmepkg.files import file_sha256

# When the archives of Fashion-MNIST were packed, which their gzip header says, beside the name of the file. Some who pass them
# on drop both (Debian's dataset-fashion-mnist), and so change the sum, but not what is packed.
_PACKED = {
    "train-images-idx3-ubyte.gz": 1504176606,
    "train-labels-idx1-ubyte.gz": 1504176606,
    "t10k-images-idx3-ubyte.gz": 1504176627,
    "t10k-labels-idx1-ubyte.gz": 1504176627,
}


def provide(folder: Path, sums: Mapping[str, str], into: Path) -> None:
    """Checks archives and makes them available in another folder, byte for byte as they were published.

    An archive without the name and time in its gzip header gets them back, where they are known; all that counts is the sum.

    Args:
      folder: where the archives are.
      sums: file name -> SHA-256 of it.
      into: an existing folder, for links to the archives, or mended ones.

    Raises:
      UserError: an archive is missing, or another one.
    """
    for name, expected in sums.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path}: no such file; this folder has to hold {_listed(sums)}, as downloaded")
        if file_sha256(path) == expected:
            (into / name).symlink_to(path.resolve())
            continue
        mended = _with_header(path.read_bytes(), name) if name in _PACKED else b""
        if hashlib.sha256(mended).hexdigest() != expected:
            raise UserError(
                f"{path}: not the published archive, or damaged (its SHA-256 is not {expected}); download it again"
            )
        (into / name).write_bytes(mended)


def _with_header(packed: bytes, name: str) -> bytes:
    """A gzip file (RFC 1952) that has neither name nor any other optional field, with name and time in its header."""
    named = (
        b"\x1f\x8b\x08\x08"
        + _PACKED[name].to_bytes(4, "little")
        + b"\x00\x03"
        + name.removesuffix(".gz").encode()
        + b"\x00"
    )
    return named + packed[10:]


def _listed(names: Mapping[str, str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
