"""A language server, which says of a text what an editor would show: its protocol is JSON-RPC over a process's pipes."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

_SETTINGS = {"validate": True, "completion": True, "hover": True, "schemaStore": {"enable": False}}
_CURSOR = "¦"


class Server:
    """yaml-language-server, at work on files of a folder; each text is a file of its own, which need not exist."""

    def __init__(self, command: str, folder: Path) -> None:
        self.folder = folder
        self._process = subprocess.Popen([command, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._numbers = itertools.count(1)
        self._found: dict[str, list[dict[str, Any]]] = {}
        completion = {"completionItem": {"documentationFormat": ["markdown"], "snippetSupport": True}}
        documents = {"completion": completion, "hover": {"contentFormat": ["markdown"]}}
        capabilities = {"textDocument": documents, "workspace": {"configuration": True}}
        self._ask("initialize", processId=None, rootUri=folder.as_uri(), capabilities=capabilities)
        self._say("initialized")
        self._say("workspace/didChangeConfiguration", settings={"yaml": _SETTINGS})

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def problems(self, text: str) -> list[str]:
        """What is marked: ``2: Property epoch is not allowed.``."""
        uri = self._open(text)
        while uri not in self._found:
            self._handle(self._read())
        return [f"{found['range']['start']['line'] + 1}: {found['message']}" for found in self._found[uri]]

    def completions(self, text: str) -> list[str]:
        """What is offered where ``¦`` is in a text."""
        answer = self._at("completion", text)
        return [item["label"] for item in (answer["items"] if isinstance(answer, dict) else answer)]

    def hover(self, text: str) -> str:
        """What is said of the key that has ``¦`` in it."""
        answer = self._at("hover", text)
        return answer["contents"]["value"] if answer else ""

    def _at(self, what: str, text: str) -> Any:
        before, _, after = text.partition(_CURSOR)
        place = {"line": before.count("\n"), "character": len(before.rpartition("\n")[2])}
        return self._ask(f"textDocument/{what}", textDocument={"uri": self._open(before + after)}, position=place)

    def _open(self, text: str) -> str:
        uri = (self.folder / f"{next(self._numbers)}.yaml").as_uri()
        self._say("textDocument/didOpen", textDocument={"uri": uri, "languageId": "yaml", "version": 1, "text": text})
        return uri

    def _ask(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._read()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message.get("result")
            self._handle(message)

    def _say(self, method: str, **params: Any) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        text = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(text) + text)
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        stream = self._process.stdout
        assert stream is not None
        size = 0
        while line := stream.readline().strip():
            name, _, value = line.partition(b":")
            size = int(value) if name.lower() == b"content-length" else size
        assert size, "the language server ended"
        message: dict[str, Any] = json.loads(stream.read(size))
        return message

    def _handle(self, message: dict[str, Any]) -> None:
        """Notes what it found, and answers what it asks of an editor."""
        if message.get("method") == "textDocument/publishDiagnostics":
            self._found[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif message.get("method") == "workspace/configuration":
            asked = (item.get("section") for item in message["params"]["items"])
            self._send({"id": message["id"], "result": [_SETTINGS if section == "yaml" else {} for section in asked]})
        elif "method" in message and "id" in message:
            self._send({"id": message["id"], "result": None})
