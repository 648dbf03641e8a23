# SPDX-License-Identifier: GPL-2.0
"""A client of rust-analyzer: what an editor asks it."""

import json
import re
import select
import subprocess
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

# It reads the standard library and the kernel crate first.
SECONDS = 1800
CAPABILITIES = {
    "experimental": {"serverStatusNotification": True},
    "textDocument": {"definition": {"linkSupport": True},
                     "hover": {"contentFormat": ["plaintext"]}},
}
OPTIONS = {"cachePriming": {"enable": False}, "checkOnSave": False}


class LanguageServer:
    """rust-analyzer, which has read the project of a directory."""

    def __init__(self, directory):
        self.directory = directory
        self.health = None
        self._number = 0
        self._received = b""
        self._open = set()
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "scripts/enter.sh", "rust-analyzer"], cwd=directory,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._until = time.monotonic() + SECONDS

    def __enter__(self):
        folder = {"uri": self.directory.as_uri(), "name": "tree"}
        self._ask("initialize", processId=None, rootUri=folder["uri"], workspaceFolders=[folder],
                  capabilities=CAPABILITIES, initializationOptions=OPTIONS)
        self._tell("initialized")
        while self.health is None:
            self._receive()
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    def _send(self, message):
        data = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(data), data))
        self._process.stdin.flush()

    def _tell(self, method, **parameters):
        self._send({"method": method, "params": parameters})

    def _ask(self, method, **parameters):
        self._number += 1
        self._send({"id": self._number, "method": method, "params": parameters})
        while True:
            message = self._receive()
            if message.get("id") == self._number and "method" not in message:
                assert "error" not in message, message["error"]
                return message["result"]

    def _receive(self):
        """The next message; what the server itself asks is answered."""
        while True:
            head = re.match(rb"Content-Length: (\d+)\r\n(?:\S.*\r\n)*\r\n", self._received)
            if head and len(self._received) >= head.end() + int(head[1]):
                break
            left = self._until - time.monotonic()
            assert left > 0, "rust-analyzer does not answer"
            if select.select([self._process.stdout], [], [], left)[0]:
                data = self._process.stdout.read1(65536)
                assert data, "rust-analyzer has ended"
                self._received += data
        end = head.end() + int(head[1])
        message = json.loads(self._received[head.end():end])
        self._received = self._received[end:]
        if message.get("method") == "experimental/serverStatus":
            # It is not asked before it has read everything.
            if message["params"]["quiescent"]:
                self.health = message["params"]["health"]
        elif "method" in message and "id" in message:
            items = message["params"].get("items", []) if message["params"] else []
            self._send({"id": message["id"], "result": [OPTIONS for _ in items] or None})
        return message

    def _at(self, path, within, name):
        """The position of a name within the first place of a text in a file, which is opened."""
        text = path.read_text(encoding="utf-8")
        if path not in self._open:
            self._open.add(path)
            self._tell("textDocument/didOpen", textDocument={
                "uri": path.as_uri(), "languageId": "rust", "version": 1, "text": text})
        before = text[:text.index(within) + within.index(name)]
        return {"textDocument": {"uri": path.as_uri()},
                "position": {"line": before.count("\n"),
                             "character": len(before.rpartition("\n")[2])}}

    def definition(self, path, within, name):
        """Where a name is defined: (file, the name there) each."""
        found = []
        for link in self._ask("textDocument/definition", **self._at(path, within, name)):
            file = Path(unquote(urlsplit(link["targetUri"]).path))
            place = link["targetSelectionRange"]
            line = file.read_text(encoding="utf-8").splitlines()[place["start"]["line"]]
            found.append((file, line[place["start"]["character"]:place["end"]["character"]]))
        return found

    def hover(self, path, within, name):
        """What is said of a name."""
        return self._ask("textDocument/hover", **self._at(path, within, name))["contents"]["value"]
