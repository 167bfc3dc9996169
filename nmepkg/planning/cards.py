"""GPUs that a program can be compiled for without having one: what the compiler, and an estimate, have to know of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Card:
    """Public facts of a GPU, of NVIDIA's data sheets and of what CUDA says of it.

    Attributes:
      name: as CUDA gives it.
      memory: bytes.
      bandwidth: of the memory, bytes a second.
      rates: what products are computed in -> largest dense FLOP/s.
      capability: of CUDA, major and minor, with what else the compiler is told of it.
      cores, lanes: multiprocessors, and float32 units of each.
      clock: GHz.
      threads: of a multiprocessor at once.
      shared, shared_block: bytes of shared memory of a multiprocessor, and of one block that asks for all.
      cache: bytes of the L2 cache.
    """

    name: str
    memory: int
    bandwidth: int
    rates: Mapping[str, float]
    capability: str
    cores: int
    lanes: int
    clock: float
    threads: int
    shared: int
    shared_block: int
    cache: int

    def target(self) -> str:
        """The card as XLA's ``GpuTargetConfigProto``, in text."""
        return f"""\
gpu_device_info {{
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: {self.shared}
  threads_per_core_limit: {self.threads}
  core_count: {self.cores}
  fpus_per_core: {self.lanes}
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  memory_bandwidth: {self.bandwidth}
  l2_cache_size: {self.cache}
  clock_rate_ghz: {self.clock}
  device_memory_size: {self.memory}
  shared_memory_per_block_optin: {self.shared_block}
  cuda_compute_capability {{ {self.capability} }}
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  thread_dim_limit_x: 1024
  thread_dim_limit_y: 1024
  thread_dim_limit_z: 64
  name: "{self.name}"
  driver_version: "13.0.0"
  runtime_version: "12.9.0"
  compile_time_toolkit_version: "12.9.0"
  dnn_version: "9.28.0"
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 28 patch: 0 }}
runtime_version {{ major: 12 minor: 9 patch: 0 }}
device_description_str: "{self.name}"
"""


_H100 = Card(
    "NVIDIA H100 80GB HBM3",
    84942979072,
    3352320000000,
    rates={"float32": 66.9e12, "tensorfloat32": 494.7e12, "bfloat16": 989.4e12},
    capability="major: 9 feature_extension: ACCELERATED_FEATURES",
    cores=132,
    lanes=128,
    clock=1.98,
    threads=2048,
    shared=233472,
    shared_block=232448,
    cache=52428800,
)
_A100 = Card(
    "NVIDIA A100-SXM4-80GB",
    85100068864,
    2039040000000,
    rates={"float32": 19.5e12, "tensorfloat32": 156e12, "bfloat16": 312e12},
    capability="major: 8",
    cores=108,
    lanes=64,
    clock=1.41,
    threads=2048,
    shared=167936,
    shared_block=166912,
    cache=41943040,
)

CARDS = {
    "h100": _H100,
    "h200": replace(_H100, name="NVIDIA H200", memory=150110011392, bandwidth=4814000000000),
    "a100-80": _A100,
    "a100-40": replace(_A100, name="NVIDIA A100-SXM4-40GB", memory=42297786368, bandwidth=1555200000000),
    "4090": Card(
        "NVIDIA GeForce RTX 4090",
        25386352640,
        1008096000000,
        rates={"float32": 82.6e12, "tensorfloat32": 82.6e12, "bfloat16": 165.2e12},
        capability="major: 8 minor: 9",
        cores=128,
        lanes=128,
        clock=2.52,
        threads=1536,
        shared=102400,
        shared_block=101376,
        cache=75497472,
    ),
}
