from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmepkg.analysis.results import metric, read_results, result_path
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
        result_path(sample.store, run).unlink()
    with pytest.raises(UserError, match="2 of 3 results are missing") as caught:
        read_results(sample.store, sample.specs)
    assert str(result_path(sample.store, second)) in str(caught.value)


def _truncated(content: dict[str, Any]) -> dict[str, Any]:
    del content["provenance"]
    return content


def _edited_final(content: dict[str, Any]) -> dict[str, Any]:
    content["final"] = {**content["final"], "test_accuracy": 0.99}
    return content


def _edited_history(content: dict[str, Any]) -> dict[str, Any]:
    content["history"][0]["validation_accuracy"] = 0.95
    return content


def _claims_divergence(content: dict[str, Any]) -> dict[str, Any]:
    return {**content, "status": "diverged"}


def _other_spec(content: dict[str, Any]) -> dict[str, Any]:
    content["spec"]["method"]["strength"] = 0.2
    return content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_truncated, "without the key 'provenance'"),
        (_edited_final, "'final' isn't the last row"),
        (_edited_history, "'best_validation' isn't the row"),
        (_claims_divergence, "'status' and 'diverged' disagree"),
        (_other_spec, "spec.method.strength is 0.2 where the study asks for 0.1"),
        (lambda content: {**content, "run": "other"}, "that of another run, 'other'"),
        (lambda content: {**content, "format": 2}, "format 2"),
        (lambda content: {**content, "history": []}, "without a history"),
        (lambda content: {**content, "status": "running"}, "unknown status 'running'"),
        (lambda content: [content], "not a JSON object"),
    ],
)
def test_a_result_that_is_not_the_run_asked_for_is_refused(
    sample: Sample, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    run, spec = next(iter(sample.specs.items()))
    sample.write(run, change(result(run, {**spec, "method": dict(spec["method"])}, 0.8)))
    with pytest.raises(UserError) as caught:
        read_results(sample.store, sample.specs)
    text = str(caught.value)
    assert message in text
    assert text.startswith(str(result_path(sample.store, run)))
    assert "train the run again" in text
    assert "\n" not in text


def test_half_a_file_is_refused(sample: Sample) -> None:
    path = result_path(sample.store, next(iter(sample.specs)))
    path.write_text(path.read_text()[:200])
    with pytest.raises(UserError, match="not readable as JSON"):
        read_results(sample.store, sample.specs)


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
