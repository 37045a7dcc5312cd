"""The real server and a real headless Chromium. Both are started once; every test gets a page of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here carries the marker, and says why it is skipped where there is no browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium on this machine"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_server(data: Path, port: int) -> subprocess.Popen[bytes]:
    """app.py on a port of its own, with its data in `data`; returns when the page answers."""
    environment = os.environ | {"ULD_DATA_DIR": str(data), "GRADIO_SERVER_PORT": str(port), "HF_HUB_OFFLINE": "1"}
    log = (data / "server.log").open("ab")
    server = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=log)
    deadline = time.time() + 90
    while time.time() < deadline and server.poll() is None:
        try:
            urlopen(f"http://127.0.0.1:{port}/", timeout=2).read()
            return server
        except OSError:
            time.sleep(0.2)
    server.kill()
    raise RuntimeError("the page did not come up:\n" + (data / "server.log").read_text()[-2000:])


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's data folder."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def address(data: Path) -> Iterator[str]:
    """Where the page is served."""
    port = _free_port()
    server = start_server(data, port)
    yield f"http://127.0.0.1:{port}/"
    server.terminate()
    server.wait(20)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Any]:
    """One Playwright for the session."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        yield driver


@pytest.fixture
def visitor(playwright: Any, tmp_path: Path) -> Iterator[Any]:
    """A browser with an empty profile, 1440 x 900."""
    context = playwright.chromium.launch_persistent_context(
        str(tmp_path / "profile"), executable_path=CHROMIUM, args=FLAGS, viewport={"width": 1440, "height": 900}
    )
    yield context
    context.close()


@pytest.fixture
def page(visitor: Any, address: str) -> Iterator[Any]:
    """The page, open, with the requests that left the machine in `page.outside`; none may."""
    tab = visitor.new_page()
    tab.outside = []

    def listen(request: Any) -> None:
        if not request.url.startswith((address, "data:", "blob:")):
            tab.outside.append(request.url)

    tab.on("request", listen)
    tab.set_default_timeout(30_000)
    tab.goto(address)
    tab.wait_for_selector(".uld-card")
    yield tab
    assert tab.outside == [], "the page asked for something outside this machine"
