from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmepkg.analysis.measurements import measurement_path, quantity, read_measurements, standard_error
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
        measurement_path(sample.store, str(job.run), job.id).unlink()
    with pytest.raises(UserError, match="2 of 3 measurements are missing") as caught:
        _read(sample)
    assert str(measurement_path(sample.store, str(second.run), second.id)) in str(caught.value)


def _point(content: dict[str, Any], place: int, **changes: Any) -> dict[str, Any]:
    content["points"][place] = {**content["points"][place], **changes}
    return content


def _without(content: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != key}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: [c], "not a JSON object"),
        (lambda c: _without(c, "provenance"), "without the key 'provenance'"),
        (lambda c: {**c, "format": 2}, "format 2"),
        (lambda c: {**c, "run": "other"}, "that of another run, 'other'"),
        (lambda c: {**c, "measurement": "other"}, "that of another measurement, 'other'"),
        (lambda c: {**c, "spec": {**TRACES, "samples": 7}}, "spec.samples is 7 where the study asks for 100"),
        (lambda c: {**c, "run_spec": {**c["run_spec"], "seed": 9}}, "run_spec.seed is 9 where the study asks for 0"),
        (lambda c: {**c, "provenance": None}, "without a provenance"),
        (lambda c: {**c, "points": None}, "without points"),
        (lambda c: {**c, "points": c["points"][:2]}, "its points are at ['initial', 100] where the spec has"),
        (lambda c: _point(c, 1, status="running"), "unknown status 'running' at 100"),
        (lambda c: _point(c, 1, step=99), "step 99 at 100"),
        (lambda c: _point(c, 0, step=1), "step 1 at initial"),
        (lambda c: _point(c, 2, step=None), "step None at final"),
        (lambda c: _point(c, 2, values=None), "measured at final, but its values are None"),
        (lambda c: _point(c, 2, status="not_reached"), "not reached at final, but it has values"),
    ],
)
def test_a_measurement_that_is_not_the_one_asked_for_is_refused(
    sample: Sample, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    job = next(iter(sample.jobs.values()))
    sample.write_measurement(job, change(measurement_content(job, sample.specs[str(job.run)], MEASURED)))
    with pytest.raises(UserError) as caught:
        _read(sample)
    text = str(caught.value)
    assert message in text
    assert text.startswith(str(measurement_path(sample.store, str(job.run), job.id)))
    assert text.endswith("delete the file and measure the run again")
    assert "\n" not in text


def test_half_a_file_is_refused(sample: Sample) -> None:
    job = next(iter(sample.jobs.values()))
    path = measurement_path(sample.store, str(job.run), job.id)
    path.write_text(path.read_text()[:200])
    with pytest.raises(UserError, match="not readable as JSON"):
        _read(sample)


def test_quantities_of_a_point() -> None:
    path = Path("measurement.json")
    point = {"at": "final", "step": 1, "status": "measured", "values": {**VALUES, "tr_N": None, "text": "5"}}
    assert quantity({}, point, "tr_H", path) == 5.0
    assert standard_error(point, "tr_H", path) == 0.25
    assert standard_error(point, "tr_G", path) is None
    assert quantity({}, point, "tr_N", path) is None
    assert quantity({}, {**point, "values": None}, "tr_H", path) is None
    with pytest.raises(UserError, match="without the quantity 'loss', it has tr_H, tr_G"):
        quantity({}, point, "loss", path)
    with pytest.raises(UserError, match="without a number for text at final: it is '5'"):
        quantity({}, point, "text", path)
