"""The time of a call on a device."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.peers.turns import rounds

Row = dict[str, Any]


def milliseconds(call: Callable[[], Any], wait: Callable[[Any], Any], seconds: float) -> float:
    """Of a call: the median of rounds, each of as many calls as fill a tenth of the time.

    Args:
      wait: given what a call returned, returns when the device has computed it.
      seconds: that all rounds take.
    """

    def time_of(repetitions: int) -> float:
        start = time.perf_counter()
        for _ in range(repetitions):
            result = call()
        wait(result)
        return (time.perf_counter() - start) / repetitions

    return 1e3 * statistics.median(rounds({"": time_of}, most=1000, budget=seconds, turn=seconds / 10)[""])
