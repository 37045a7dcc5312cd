"""The named endpoints as a script calls them: begin, follow, fetch, predict; and nobody gets another's run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_page import save_heads


@pytest.fixture
def client(address: str) -> Any:
    from gradio_client import Client

    return Client(address, verbose=False)


def test_from_pictures_to_coco(client: Any, tmp_path: Path) -> None:
    from gradio_client import handle_file

    files = [handle_file(str(file)) for file in save_heads(tmp_path, 8)]
    begun = client.predict(files, "zeroshot", 5, "whole", api_name="/begin")
    deadline = time.time() + 120
    while (state := client.predict(begun["run"], begun["token"], api_name="/state"))["state"] != "done":
        assert state["state"] in ("waiting", "running") and time.time() < deadline, state
        time.sleep(0.5)
    document = client.predict(begun["run"], begun["token"], api_name="/landmarks")
    assert len(document["images"]) == 8 and len(document["categories"][0]["keypoints"]) == 5
    found = client.predict(files[0], begun["run"], begun["token"], api_name="/predict")
    assert len(found["annotations"]) == 1 and found["annotations"][0]["num_keypoints"] >= 3
    with pytest.raises(Exception, match="no such run"):
        client.predict(begun["run"], "f" * 32, api_name="/landmarks")


def test_the_example_is_there_for_everybody_and_mistakes_are_told(client: Any) -> None:
    assert client.predict("demo", "", api_name="/state")["state"] == "done"
    assert len(client.predict("demo", "", api_name="/landmarks")["images"]) == 240
    with pytest.raises(Exception, match="Use zeroshot"):
        client.predict([], "magic", 5, "whole", api_name="/begin")
    with pytest.raises(Exception, match="between 2 and 100"):
        client.predict([], "zeroshot", 1, "whole", api_name="/begin")


def test_the_endpoints_describe_themselves(client: Any) -> None:
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(named) == {"/begin", "/state", "/landmarks", "/predict"}
    names = [each["parameter_name"] for each in named["/begin"]["parameters"]]
    assert names == ["pictures", "method", "landmarks", "region"]
