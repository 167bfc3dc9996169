from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmepkg.analysis.results import metric, read_results
from nmepkg.errors import UserError
from tests.analysis.samples import Sample, result


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    sample = Sample(tmp_path)
    for seed in range(3):
        sample.add(0.8, seed=seed)
    return sample


def test_results_are_read_as_written(sample: Sample) -> None:
    results = read_results(sample.store, sample.specs)
    assert list(results) == list(sample.specs)
    assert all(results[run] == result(run, spec, 0.8) for run, spec in sample.specs.items())


def test_missing_results_are_counted_and_the_first_is_named(sample: Sample) -> None:
    _, second, third = sample.specs
    for run in (second, third):
        sample.store.result(run).unlink()
    with pytest.raises(UserError, match="2 of 3 results are missing") as caught:
        read_results(sample.store, sample.specs)
    assert str(sample.store.result(second)) in str(caught.value)


def _refusal(sample: Sample) -> str:
    """That of the first result, in one line."""
    with pytest.raises(UserError) as caught:
        read_results(sample.store, sample.specs)
    path, text = sample.store.result(next(iter(sample.specs))), str(caught.value)
    assert text.startswith(f"{path}: the result is ")
    assert text.endswith(f"; delete the folder {path.parent} and train the run again")
    assert "\n" not in text
    return text


def _other_strength(content: dict[str, Any]) -> dict[str, Any]:
    spec = content["spec"]
    return {**content, "spec": {**spec, "method": {**spec["method"], "strength": 0.2}}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_other_strength, "of something else: spec.method.strength is 0.2 where 0.1 is asked for"),
        (lambda content: {**content, "run": "other"}, "of something else: run is 'other' where 'mlp-psam-0.1-gelu-s0-"),
        (lambda content: {**content, "format": 1}, "of format 1, this version reads format 3"),
    ],
)
def test_a_result_that_is_not_the_run_asked_for_is_refused(
    sample: Sample, change: Callable[[dict[str, Any]], dict[str, Any]], message: str
) -> None:
    run, spec = next(iter(sample.specs.items()))
    sample.write(run, change(result(run, spec, 0.8)))
    assert message in _refusal(sample)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('"test_accuracy": 0.8', '"test_accuracy": 0.9', 1), "its sha256 does not match"),
        (lambda text: text.replace('"completed"', '"diverged"'), "its sha256 does not match"),
        (lambda text: text[:200], "not readable as JSON"),
        (lambda text: text[:-3], "not readable as JSON"),
        (lambda text: "", "not readable as JSON"),
        (lambda text: "[]", "not a JSON object"),
        (lambda text: "{}", "without its sha256"),
    ],
)
def test_an_edited_or_a_truncated_result_is_refused(sample: Sample, change: Callable[[str], str], message: str) -> None:
    path = sample.store.result(next(iter(sample.specs)))
    text = path.read_text()
    assert change(text) != text
    path.write_text(change(text))
    assert message in _refusal(sample)


def test_a_metric_that_a_run_lacks_is_an_error_that_says_so() -> None:
    content = result("run", {}, 0.8)
    path = Path("result.json")
    assert metric(content, "final", "test_accuracy", path) == 0.8
    with pytest.raises(UserError, match="no validation set"):
        metric({**content, "best_validation": None}, "best_validation", "test_accuracy", path)
    with pytest.raises(UserError, match=r"final\.f1 is None"):
        metric(content, "final", "f1", path)
    with pytest.raises(UserError, match="is None"):
        metric({**content, "final": {"validation_loss": None}}, "final", "validation_loss", path)
