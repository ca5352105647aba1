"""The account's key, after everything else has happened on the Airflow that all end-to-end tests share."""

from __future__ import annotations

import pytest

from tests.conftest import API_KEY

pytestmark = pytest.mark.end_to_end


def test_the_key_is_in_no_log_file_and_in_no_response_of_the_rest_api(airflow, stage):
    stage.wait_for_all()

    assert [name for name, text in airflow.log_files().items() if API_KEY in text] == []
    assert not any(API_KEY in response for response in airflow.responses)
