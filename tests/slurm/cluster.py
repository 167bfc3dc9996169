"""A real Slurm of two nodes on one machine, private to a test: daemons in namespaces of their own.

Needs root, or CAP_SYS_ADMIN, and Debian's packages slurmctld, slurmd, slurm-client, munge and iproute2.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parent / "namespace.sh"
COMMANDS = ("slurmctld", "slurmd", "sbatch", "squeue", "munged", "ip", "unshare", "nsenter")
NAMESPACES = ("--mount", "--net", "--ipc", "--pid")
NODES = ("n1", "n2")

# Memory, CPUs and GPUs are what Slurm is told, not what there is. Jobs of `requeue` and `cancel` give way to those of `urgent`.
SLURM_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
SlurmdSpoolDir=/run/spool/%n
StateSaveLocation=/run/state
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
SlurmdParameters=config_overrides
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/log/jobs.txt
{options}
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port=26818 CPUs=4 RealMemory=64000 Gres=gpu:2
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port=26819 CPUs=4 RealMemory=64000
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=600 PriorityTier=1 PreemptMode=OFF
PartitionName=requeue Nodes=n1 MaxTime=600 PriorityTier=1 PreemptMode=REQUEUE
PartitionName=cancel Nodes=n1 MaxTime=600 PriorityTier=1 PreemptMode=CANCEL
PartitionName=urgent Nodes=n1 MaxTime=600 PriorityTier=9 PreemptMode=OFF
"""
# MinJobAge: how long squeue remembers a job. SlurmdTimeout: after how long a silent node is down.
OPTIONS = {"MinJobAge": 3600, "SlurmdTimeout": 300, "KillWait": 2, "MessageTimeout": 10, "MaxJobCount": 2000}


def unavailable() -> str | None:
    """Why no Slurm can be started here, if none can."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [command for command in COMMANDS if shutil.which(command, path=path) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if not Path("/etc/slurm").is_dir():
        return "/etc/slurm, where Slurm's configuration is to be mounted, does not exist"
    tried = subprocess.run(["unshare", *NAMESPACES, "--fork", "true"], capture_output=True, text=True)
    return None if tried.returncode == 0 else f"namespaces are not allowed: {tried.stderr.strip()}"


class Cluster:
    """The daemons, and a way to run commands beside them."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.folder = folder
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}
        self.daemons: list[subprocess.Popen[bytes]] = []
        self.commands: list[subprocess.Popen[bytes]] = []
        for name in ("etc", "log"):
            (folder / name).mkdir()
        for number in range(2):
            (folder / f"nvidia{number}").symlink_to("/dev/null")
        lines = "\n".join(f"{key}={value}" for key, value in {**OPTIONS, **options}.items())
        host = socket.gethostname().split(".")[0]
        (folder / "etc" / "slurm.conf").write_text(SLURM_CONF.format(host=host, folder=folder, options=lines))
        (folder / "etc" / "gres.conf").write_text(f"NodeName=n1 Name=gpu File={folder}/nvidia[0-1]\n")
        self.first = subprocess.Popen(
            ["unshare", *NAMESPACES, "--fork", "--kill-child=KILL", "--mount-proc", SCRIPT, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "log" / "slurm-namespace.log").open("wb"),
            start_new_session=True,
        )
        assert self.first.stdout is not None
        if self.first.stdout.readline() != b"ready\n":
            raise RuntimeError(f"no namespaces:\n{self.logs()}")
        try:
            self.start_controller()
            for node in NODES:
                self.start_node(node)
            wait_for(lambda: self.idle() == set(NODES), 30, lambda: f"Slurm did not start:\n{self.logs()}")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Everything that runs in the namespaces ends with their first process; what entered them, with that."""
        self.first.kill()
        self.first.wait()
        for command in [*self.commands, *self.daemons]:
            command.kill()
            command.wait()

    def entered(self, *command: str | Path) -> list[str]:
        """The command, inside the namespaces."""
        process = f"/proc/{self.first.pid}/ns"
        spaces = [f"--{name}={process}/{space}" for name, space in (("mount", "mnt"), ("net", "net"), ("ipc", "ipc"))]
        return ["nsenter", *spaces, f"--pid={process}/pid_for_children", *map(str, command)]

    def clear(self) -> None:
        """Ends what a test started and left: commands, and jobs."""
        for command in self.commands:
            for process in [*children(command.pid), command.pid]:
                if command.poll() is None:
                    os.kill(process, signal.SIGKILL)
            command.wait()
        self.commands.clear()
        self.run("scancel", "--user=root")

    def start(
        self, *command: str | Path, folder: Path | str = "/", env: Mapping[str, str] = os.environ, **options: Any
    ) -> subprocess.Popen[bytes]:
        """Starts a command inside, in a folder: nsenter leaves the one that it was called in."""
        call = self.entered("env", f"--chdir={folder}", *command)
        env = {**env, "PATH": f"{env['PATH']}:/usr/sbin:/sbin"}
        process = subprocess.Popen(call, env=env, start_new_session=True, **options)
        self.commands.append(process)
        return process

    def run(self, *command: str | Path, timeout: float = 60) -> str:
        """What a command of Slurm prints; raises if it fails."""
        return subprocess.run(
            self.entered(*command), check=True, stdout=subprocess.PIPE, text=True, timeout=timeout
        ).stdout

    def start_controller(self) -> None:
        self.controller = self.daemon("slurmctld", "-D")

    def stop_controller(self) -> None:
        """As for an upgrade: it saves what it knows."""
        self.signal_controller("TERM")
        self.controller.wait(30)

    def signal_controller(self, name: str) -> None:
        self.run("sh", "-c", f"kill -{name} $(cat /run/slurmctld.pid)")

    def start_node(self, node: str) -> None:
        # A process namespace of its own makes of a node something that can be switched off.
        call = f"slurmd -D -N {node}; exit"
        self.nodes[node] = self.daemon(
            "unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "bash", "-c", call
        )

    def kill_node(self, node: str) -> None:
        """As if its power were cut: slurmd, and all that runs there."""
        (process,) = children(self.nodes.pop(node).pid)  # nsenter's
        os.kill(process, signal.SIGKILL)

    def daemon(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log" / "daemons.txt").open("ab") as log:
            process = self.start(*command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.daemons.append(self.commands.pop())
        return process

    def idle(self) -> set[str]:
        """Nodes that could take a job."""
        done = subprocess.run(
            self.entered("sinfo", "--noheader", "--Node", "--states=idle", "--format=%N"),
            capture_output=True,
            text=True,
        )
        return set(done.stdout.split())

    def jobs(self) -> list[dict[str, str]]:
        """Every job that Slurm remembers, with the rule and wildcards that Snakemake notes in its comment."""
        columns = {"id": "%i", "state": "%T", "comment": "%k", "cpus": "%C", "memory": "%m", "time": "%l", "node": "%N"}
        columns |= {"gpus": "%b", "restarts": "%r", "name": "%j", "requeue": "%H", "partition": "%P"}
        listed = self.run("squeue", "--states=all", "--noheader", "--format=" + "|".join(columns.values()))
        return [dict(zip(columns, line.split("|"), strict=True)) for line in listed.splitlines()]

    def completions(self) -> list[dict[str, str]]:
        """Slurm's log of jobs that ended, which nothing else could have written."""
        path = self.folder / "log" / "jobs.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        return [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines]

    def logs(self) -> str:
        """The last lines of what the daemons say."""
        texts = {
            path.name: path.read_text(errors="replace") for path in sorted((self.folder / "log").glob("slurm*.log"))
        }
        return "\n".join(f"--- {name}\n" + "\n".join(text.splitlines()[-20:]) for name, text in texts.items())


def children(pid: int) -> list[int]:
    """Process ids of a process's children, as they are known here, outside of any namespace."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(entry.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.parent.name))
        except OSError:  # it ended meanwhile
            continue
    return found


def wait_for(condition: Callable[[], object], seconds: float, otherwise: Callable[[], str]) -> None:
    """Until a condition holds; raises if that takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(otherwise())
        time.sleep(0.1)


@contextmanager
def running(folder: Path, **options: object) -> Iterator[Cluster]:
    """A cluster for as long as it is needed."""
    cluster = Cluster(folder, **options)
    try:
        yield cluster
    finally:
        cluster.stop()
