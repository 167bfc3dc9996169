from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmepkg.analysis.measurements import quantity, read_measurements, standard_error
from nmepkg.errors import UserError
from tests.analysis.samples import TRACES, Sample, measurement_content

VALUES = {"tr_H": 5.0, "tr_G": 6.0, "tr_N": -1.0, "tr_H_se": 0.25}
MEASURED = {"initial": VALUES, 100: VALUES, "final": VALUES}


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    sample = Sample(tmp_path)
    for seed in range(3):
        sample.add(0.8, seed=seed, measured=MEASURED)
    return sample


def _read(sample: Sample) -> dict[tuple[str, str], dict[str, Any]]:
    return read_measurements(sample.store, sample.jobs.values(), sample.specs)


def test_measurements_are_read_as_written(sample: Sample) -> None:
    read = _read(sample)
    assert list(read) == [(job.run, job.id) for job in sample.jobs.values()]
    for job in sample.jobs.values():
        assert read[str(job.run), job.id] == measurement_content(job, sample.specs[str(job.run)], MEASURED)


def test_missing_measurements_are_counted_and_the_first_is_named(sample: Sample) -> None:
    _, second, third = sample.jobs.values()
    for job in (second, third):
        sample.store.measurement(str(job.run), job.id).unlink()
    with pytest.raises(UserError, match="2 of 3 measurements are missing") as caught:
        _read(sample)
    assert str(sample.store.measurement(str(second.run), second.id)) in str(caught.value)


def _refusal(sample: Sample) -> str:
    """That of the first measurement, in one line."""
    with pytest.raises(UserError) as caught:
        _read(sample)
    job, text = next(iter(sample.jobs.values())), str(caught.value)
    assert text.startswith(f"{sample.store.measurement(str(job.run), job.id)}: the measurement is ")
    assert text.endswith("; delete the file and measure the run again")
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: {"format": 1}, "of format 1, this version reads format 2"),
        (lambda c: {"run": "other"}, "run is 'other' where 'mlp-psam-0.1-gelu-s0-"),
        (lambda c: {"measurement": "other"}, "measurement is 'other' where '"),
        (lambda c: {"spec": {**TRACES, "samples": 7}}, "spec.samples is 7 where 100 is asked for"),
        (lambda c: {"run_spec": {**c["run_spec"], "seed": 9}}, "run_spec.seed is 9 where 0 is asked for"),
    ],
)
def test_a_measurement_that_is_not_the_one_asked_for_is_refused(
    sample: Sample, change: Callable[[dict[str, Any]], dict[str, Any]], message: str
) -> None:
    job = next(iter(sample.jobs.values()))
    content = measurement_content(job, sample.specs[str(job.run)], MEASURED)
    sample.write_measurement(job, {**content, **change(content)})
    assert message in _refusal(sample)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('"tr_N": -1.0', '"tr_N": -2.0', 1), "its sha256 does not match"),
        (lambda text: text.replace('"measured"', '"not_finite"', 1), "its sha256 does not match"),
        (lambda text: text[:200], "not readable as JSON"),
        (lambda text: f"[{text}]", "not a JSON object"),
    ],
)
def test_an_edited_or_a_truncated_measurement_is_refused(
    sample: Sample, change: Callable[[str], str], message: str
) -> None:
    job = next(iter(sample.jobs.values()))
    path = sample.store.measurement(str(job.run), job.id)
    text = path.read_text()
    assert change(text) != text
    path.write_text(change(text))
    assert message in _refusal(sample)


def test_quantities_of_a_point() -> None:
    path = Path("measurement.json")
    point = {"at": "final", "step": 1, "status": "measured", "values": {**VALUES, "tr_N": None, "text": "5"}}
    assert quantity({}, point, "tr_H", path) == 5.0
    assert standard_error({}, point, "tr_H", path) == 0.25
    assert standard_error({}, point, "tr_G", path) is None
    assert quantity({}, point, "tr_N", path) is None
    assert quantity({}, {**point, "values": None}, "tr_H", path) is None
    with pytest.raises(UserError, match="without the quantity 'loss', it has tr_H, tr_G"):
        quantity({}, point, "loss", path)
    with pytest.raises(UserError, match="without a number for text at final: it is '5'"):
        quantity({}, point, "text", path)
