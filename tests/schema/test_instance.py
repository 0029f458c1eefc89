"""Rows of benchmarks as records."""

import json

import pytest
from pydantic import ValidationError

from patchwright.schema.instance import Instance, Prediction

ROW = {
    "instance_id": "a__b-1",
    "repo": "a/b",
    "base_commit": "0" * 40,
    "problem_statement": "It fails.",
    "patch": "",
    "FAIL_TO_PASS": ["t.py::test_a"],
    "PASS_TO_PASS": [],
}


def test_a_row_round_trips_under_the_published_names() -> None:
    instance = Instance.model_validate_json(json.dumps(ROW))
    assert instance.fail_to_pass == ("t.py::test_a",)
    written = json.loads(instance.model_dump_json(by_alias=True))
    assert written["FAIL_TO_PASS"] == ["t.py::test_a"]
    assert Instance.model_validate_json(json.dumps(written)) == instance


def test_a_prediction_has_the_official_keys() -> None:
    prediction = Prediction(instance_id="a__b-1", model_name_or_path="m", model_patch="")
    assert json.loads(prediction.model_dump_json()) == {
        "instance_id": "a__b-1",
        "model_name_or_path": "m",
        "model_patch": "",
    }


def test_a_field_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValidationError):
        Instance.model_validate_json(json.dumps(ROW | {"surprise": 1}))
