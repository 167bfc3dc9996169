"""The stream of ImageNet: what a step takes is a function of the seed and the step alone, whoever reads it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmepkg.data import stream as module
from nmepkg.data.jpeg import centre_crop, resized_crop_flip
from nmepkg.data.stream import Batch, Stream, open_stream
from nmepkg.errors import UserError
from tests.data.conftest import SIZE, TRAIN, Tiny

VIEW = partial(resized_crop_flip, size=SIZE, smallest_area=0.08, largest_aspect=4 / 3)
ALL = np.arange(TRAIN)
BATCH = 10
EPOCH = TRAIN // BATCH


@pytest.fixture(scope="module")
def stream(tiny: Tiny) -> Stream:
    return open_stream(tiny.source, tiny.arrays, SIZE, SIZE + 4)


@pytest.fixture(scope="module")
def reference(stream: Stream) -> list[Batch]:
    """Ten steps of an uninterrupted stream: two epochs and a half."""
    return list(stream.batches(ALL, BATCH, 3, 0, 10, VIEW))


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_same(found: Iterable[Batch], expected: Iterable[Batch]) -> None:
    for (x, y), (u, v) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(x, u)
        np.testing.assert_array_equal(y, v)


def images(stream: Stream, split: str = "train") -> list[bytes]:
    return [record["image"] for record in stream.records[split]]


def marked(jpeg: bytes, rng: np.random.Generator) -> np.ndarray:
    """A view that tells which image it is of, and what was drawn first."""
    view = np.zeros((SIZE, SIZE, 3), np.uint8)
    view[0, 0] = list(hashlib.sha256(jpeg).digest()[:3])
    view[1, 0, 0] = rng.integers(256)
    return view


def which(stream: Stream, batches: Iterable[Batch]) -> list[list[int]]:
    """Places of the examples in batches of marked views."""
    places = {tuple(hashlib.sha256(image).digest()[:3]): i for i, image in enumerate(images(stream))}
    assert len(places) == TRAIN
    return [[places[tuple(pixel)] for pixel in x[:, 0, 0].tolist()] for x, _ in batches]


def test_batches(reference: list[Batch]) -> None:
    assert len(reference) == 10
    for x, y in reference:
        assert (x.shape, x.dtype) == ((BATCH, SIZE, SIZE, 3), np.uint8)
        assert (y.shape, y.dtype) == ((BATCH,), np.int32)


def test_the_seed_alone_decides(stream: Stream, reference: list[Batch]) -> None:
    np.random.seed(1)
    assert_same(stream.batches(ALL, BATCH, 3, 0, 10, VIEW), reference)
    x, _ = next(stream.batches(ALL, BATCH, 4, 0, 1, VIEW))
    assert not np.array_equal(x, reference[0][0])


def test_workers_change_nothing(stream: Stream, reference: list[Batch]) -> None:
    assert_same(stream.batches(ALL, BATCH, 3, 0, 10, VIEW, workers=2), reference)


def test_neither_do_pieces(stream: Stream, reference: list[Batch], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIECE", 3)
    assert_same(stream.batches(ALL, BATCH, 3, 0, 10, VIEW), reference)
    assert_same(stream.batches(ALL, BATCH, 3, 7, 10, VIEW), reference[7:])


@pytest.mark.parametrize("start", range(11))
def test_a_stream_begins_at_any_step(stream: Stream, reference: list[Batch], start: int) -> None:
    assert_same(stream.batches(ALL, BATCH, 3, start, 10, VIEW), reference[start:])


def test_processes_share_out_each_batch(stream: Stream, reference: list[Batch], tiny: Tiny) -> None:
    other = open_stream(tiny.source, tiny.arrays, SIZE, SIZE + 4)
    parts = [list(s.batches(ALL, BATCH, 3, 0, 10, VIEW, process=(index, 2))) for index, s in enumerate((stream, other))]
    for (x, y), *shares in zip(reference, *parts, strict=True):
        assert [len(v) for _, v in shares] == [BATCH // 2] * 2
        np.testing.assert_array_equal(np.concatenate([u for u, _ in shares]), x)
        np.testing.assert_array_equal(np.concatenate([v for _, v in shares]), y)


def test_an_epoch_visits_every_example_once_but_for_the_rest(stream: Stream) -> None:
    steps = which(stream, stream.batches(ALL, BATCH, 3, 0, 3 * EPOCH, marked))
    epochs = [[place for step in steps[i : i + EPOCH] for place in step] for i in range(0, 3 * EPOCH, EPOCH)]
    for visited in epochs:
        assert len(visited) == len(set(visited)) == EPOCH * BATCH
    assert len({tuple(visited) for visited in epochs}) == 3
    assert set.union(*map(set, epochs)) == set(range(TRAIN))  # the rest is another each time


def test_other_examples_are_held_out(stream: Stream) -> None:
    kept = ALL[ALL % 3 != 0]
    steps = which(stream, stream.batches(kept, len(kept), 0, 0, 2, marked))
    assert [sorted(step) for step in steps] == [kept.tolist()] * 2


def test_labels_stay_with_their_images(stream: Stream, tiny: Tiny) -> None:
    batches = list(stream.batches(ALL, BATCH, 3, 0, EPOCH, marked))
    for places, (_, y) in zip(which(stream, batches), batches, strict=True):
        np.testing.assert_array_equal(y, tiny.arrays["train_y"][places])
        np.testing.assert_array_equal(y, stream.labels["train"][places])


def test_the_view_of_an_example_is_another_in_each_epoch(stream: Stream) -> None:
    steps = list(stream.batches(ALL, TRAIN, 3, 0, 2, marked))
    first, second = (
        dict(zip(places, x[:, 1, 0, 0].tolist(), strict=True))
        for places, (x, _) in zip(which(stream, steps), steps, strict=True)
    )
    assert len(set(first.values())) > TRAIN / 2
    assert sum(first[i] == second[i] for i in range(TRAIN)) < TRAIN / 8


def test_without_a_view_it_is_the_middle(stream: Stream) -> None:
    (x, _) = next(stream.batches(ALL, BATCH, 3, 0, 1))
    places = which(stream, stream.batches(ALL, BATCH, 3, 0, 1, marked))[0]
    files = images(stream)
    expected = np.stack([centre_crop(files[i], size=SIZE, resize=SIZE + 4) for i in places])
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("process", [(0, 1), (0, 2), (1, 2)])
def test_evaluation_is_in_order(stream: Stream, tiny: Tiny, process: tuple[int, int]) -> None:
    places = np.asarray([5, 0, 6, 2, 1, 1])
    files, labels = images(stream, "test"), tiny.arrays["test_y"]
    found = list(stream.evaluation("test", places, 4, process=process))
    part = {(0, 1): slice(None), (0, 2): slice(2), (1, 2): slice(2, None)}[process]
    expected = [batch[part] for batch in (places[:4], places[4:])]
    assert [len(y) for _, y in found] == [len(batch) for batch in expected]
    for (x, y), batch in zip(found, expected, strict=True):
        np.testing.assert_array_equal(y, labels[batch])
        for view, i in zip(x, batch, strict=True):
            np.testing.assert_array_equal(view, centre_crop(files[i], size=SIZE, resize=SIZE + 4))


def test_take(stream: Stream) -> None:
    places = np.asarray([3, 40, 3])
    x, y = stream.take("train", places)
    files = images(stream)
    np.testing.assert_array_equal(x, [centre_crop(files[i], size=SIZE, resize=SIZE + 4) for i in places])
    np.testing.assert_array_equal(y, stream.labels["train"][places])
    x, y = stream.take("test", np.arange(0))
    assert (x.shape, y.shape) == ((0, SIZE, SIZE, 3), (0,))


def test_batches_that_are_not_possible(stream: Stream) -> None:
    message = refusal(lambda: stream.batches(ALL[:8], 9, 0, 0, 1))
    assert message == "training.batch_size: 9 is more than the 8 examples to train on"
    message = refusal(lambda: stream.batches(ALL, 9, 0, 0, 1, process=(0, 2)))
    assert message == "training.batch_size: 9 examples cannot be shared out among 2 processes"


@pytest.fixture
def copy(tiny: Tiny, tmp_path: Path) -> Path:
    shutil.copytree(tiny.source, tmp_path / "data")
    return tmp_path / "data"


def test_another_data_set_is_refused(tiny: Tiny, copy: Path) -> None:
    open_stream(copy, tiny.arrays, SIZE, SIZE + 4)
    path = next(copy.glob("imagenet2012/*/imagenet2012-train.array_record-*"))
    path.write_bytes(path.read_bytes() + bytes(1))
    message = refusal(lambda: open_stream(copy, tiny.arrays, SIZE, SIZE + 4))
    assert message.startswith(f"{copy / 'imagenet2012' / '5.1.0'}: not the files that were checked; ")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_record(tiny: Tiny, copy: Path, workers: int) -> None:
    """It was not damaged when the stream was opened; ArrayRecord's own sums tell."""
    stream = open_stream(copy, tiny.arrays, SIZE, SIZE + 4)
    path = next(copy.glob("imagenet2012/*/imagenet2012-train.array_record-*"))
    content = bytearray(path.read_bytes())
    content[20_000] ^= 255  # of one of the first records
    path.write_bytes(content)
    message = refusal(lambda: list(stream.batches(ALL, BATCH, 3, 0, 9, VIEW, workers)))
    place = re.escape(str(copy / "imagenet2012" / "5.1.0"))
    assert re.fullmatch(rf"{place}: example \d+ cannot be read \(.+\); prepare it again", message)


SCRIPT = """
import sys
from functools import partial
from pathlib import Path
import numpy as np
from nmepkg.data import imagenet, tfds_images
from nmepkg.data.jpeg import resized_crop_flip
from nmepkg.data.stream import open_stream

HEAVY = {"tensorflow", "tensorflow_datasets", "array_record", "grain", "PIL"}
assert not HEAVY & set(sys.modules), "imported before it is needed"

if __name__ == "__main__":
    source, labels, steps, size = sys.argv[1], np.load(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    stream = open_stream(Path(source), labels, size, size + 4)
    view = partial(resized_crop_flip, size=size, smallest_area=0.08, largest_aspect=4 / 3)
    for _ in stream.batches(np.arange(len(labels["train_y"])), 10, 0, 0, steps, view, workers=2):
        print(flush=True)
    assert "tensorflow" not in sys.modules
"""


@pytest.fixture
def start(tiny: Tiny, tmp_path: Path) -> Callable[[int, int], subprocess.Popen[str]]:
    (tmp_path / "script.py").write_text(SCRIPT)
    np.savez(tmp_path / "labels.npz", **tiny.arrays)  # type: ignore[arg-type]

    def start(steps: int, size: int) -> subprocess.Popen[str]:
        command = [sys.executable, "script.py", str(tiny.source), "labels.npz", str(steps), str(size)]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes)  # type: ignore[call-overload]

    return start


def test_it_ends_clean_and_without_tensorflow(start: Callable[[int, int], subprocess.Popen[str]]) -> None:
    """Of a size whose images are handed over in shared memory, which has to be freed: Python warns of what is left."""
    process = start(6, 128)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, "\n" * 6, "")


def test_workers_end_with_what_they_work_for(start: Callable[[int, int], subprocess.Popen[str]]) -> None:
    process = start(1_000_000, 32)
    assert process.stdout is not None
    process.stdout.readline()
    workers = descendants(process.pid)
    assert len(workers) >= 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{worker}").exists() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]


def descendants(pid: int) -> list[int]:
    if not Path("/proc/self/task").exists():
        pytest.skip("no /proc")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    threads = [path for path in Path(f"/proc/{pid}/task").iterdir() if path.name != str(pid)]
    children += [child for path in threads for child in (path / "children").read_text().split()]
    return [int(child) for child in children]
