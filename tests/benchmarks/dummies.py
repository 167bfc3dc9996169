"""What a worker of a test serves."""

from __future__ import annotations

import os
import threading
import time


class Counter:
    """Counts in a thread of its own for as long as its process runs."""

    def __init__(self, start: int = 0) -> None:
        self._count = start
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self._count += 1
            time.sleep(0.001)

    def count(self) -> int:
        return self._count

    def variable(self, name: str) -> str | None:
        return os.environ.get(name)

    def fail(self) -> None:
        raise ValueError("as asked\nwith more lines")

    def leave(self) -> None:
        os._exit(3)
