"""The page as a server of tools: a client that speaks the protocol finds the endpoints and calls one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

from tests.browser.conftest import _free_port, start_server


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the tools are served."""
    monkeypatch.setenv("GRADIO_MCP_SERVER", "True")
    port = _free_port()
    server = start_server(tmp_path, port)
    yield f"http://127.0.0.1:{port}/gradio_api/mcp/"
    server.terminate()
    server.wait(20)


async def ask(address: str) -> tuple[set[str], str]:
    """Names of the tools, and what `state` answers about the example."""
    async with streamablehttp_client(address) as (read, write, _), ClientSession(read, write) as session:
        await session.initialize()
        names = {tool.name for tool in (await session.list_tools()).tools}
        return names, str((await session.call_tool("state", {"run": "demo", "token": ""})).content)


def test_the_endpoints_are_tools(tools: str) -> None:
    with ThreadPoolExecutor(1) as other:  # this thread's loop is the browser's
        names, answer = other.submit(asyncio.run, ask(tools)).result()
    assert names == {"begin", "state", "landmarks", "predict"}
    assert "'state': 'done'" in answer
