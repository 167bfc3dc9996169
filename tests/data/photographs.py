"""Small stand-ins for ImageNet's archives, and what tensorflow-datasets makes of them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from nmepkg.data.tfds_images import _quiet, import_tensorflow_datasets


def jpeg(rng: np.random.Generator, width: int, height: int, mode: str = "RGB", noise: float = 6) -> bytes:
    """A JPEG whose amplitude falls as 1/f, as that of photographs does, with noise; of 500 × 375 pixels it takes 110 kB."""
    spectrum = np.fft.rfft2(rng.normal(size=(height, width, 3)), axes=(0, 1))
    rows, columns = np.fft.fftfreq(height)[:, None, None], np.fft.rfftfreq(width)[None, :, None]
    pixels = np.fft.irfft2(spectrum / (np.hypot(rows, columns) + 1 / width), s=(height, width), axes=(0, 1))
    pixels = 120 + 50 * pixels / pixels.std() + noise * rng.normal(size=pixels.shape)
    file = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).convert(mode).save(file, "JPEG", quality=90)
    return file.getvalue()


def synsets() -> list[str]:
    """The names of the thousand classes, in the order of their labels."""
    return import_tensorflow_datasets().core.tfds_path("datasets/imagenet2012/labels.txt").read_text().split()


def validation_labels() -> list[str]:
    """The class of each validation image, in the order of their names."""
    path = import_tensorflow_datasets().core.tfds_path("datasets/imagenet2012/validation_labels.txt")
    return path.read_text().split()


def build(
    folder: Path, train: Mapping[str, Sequence[bytes]], validation: Sequence[bytes], file_format: str = "array_record"
) -> Path:
    """Writes archives as ImageNet's are, and has tensorflow-datasets prepare them.

    Args:
      folder: to write to.
      train: synset -> its images; the file name of the third, say, is ``SYNSET_2.JPEG``.
      validation: images.

    Returns:
      The folder that is the ``source`` of the data set.
    """
    manual = folder / "manual"
    manual.mkdir(parents=True, exist_ok=True)
    with tarfile.open(manual / "ILSVRC2012_img_train.tar", "w") as archive:
        for synset, images in train.items():
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as own:
                for number, image in enumerate(images):
                    _add(own, f"{synset}_{number}.JPEG", io.BytesIO(image))
            _add(archive, f"{synset}.tar", inner)
    with tarfile.open(manual / "ILSVRC2012_img_val.tar", "w") as archive:
        for number, image in enumerate(validation, 1):
            _add(archive, f"ILSVRC2012_val_{number:08}.JPEG", io.BytesIO(image))
    with _quiet():
        tfds = import_tensorflow_datasets()
        builder = tfds.builder("imagenet2012", data_dir=folder / "data", file_format=file_format)
        config = tfds.download.DownloadConfig(manual_dir=manual, try_download_gcs=False)
        builder.download_and_prepare(download_config=config)
    return folder / "data"


def _add(archive: tarfile.TarFile, name: str, file: IO[bytes]) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = file.seek(0, io.SEEK_END)
    file.seek(0)
    archive.addfile(entry, file)
