"""The commands that stand before Slurm's own, against false ones that answer as Slurm does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.project import ROOT

COMMANDS = ROOT / "profiles" / "slurm" / "bin"
STATUS = ("--format=%i|%T", "--states=all", "--noheader", "--name", "run-1")
SUBMISSION = ("--parsable", "--job-name", "run-1", "--comment", "rule_train", "--wrap=true")
UNREACHABLE = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)"
TIMED_OUT = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"


class Slurm:
    """A folder with what is asked and answered; `script` is what a command does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "real").mkdir()
        self.jobs = folder / ".snakemake" / "slurm_jobs" / "run-1"

    def real(self, command: str, script: str) -> None:
        path = self.folder / "real" / command
        path.write_text(f'#!/bin/sh\necho "{command} $*" >>asked\n{script}\n')
        path.chmod(0o755)

    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()

    def call(
        self, command: str, *arguments: str, stdin: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return self.run(str(COMMANDS / command), *arguments, stdin=stdin, **variables)

    def python(self, script: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-c", script)

    def run(self, *command: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        # The folder twice, as after a `snakemake` within a `snakemake`.
        path = f"{COMMANDS}:{COMMANDS}/:{self.folder / 'real'}:{os.environ['PATH']}"
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PATH": path, "OUTAGE_PAUSE": "0", **variables},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=30,
            start_new_session=True,
        )

    def status(self, command: str = "squeue") -> set[str]:
        done = self.call(command, *STATUS)
        assert done.returncode == 0, done.stderr
        return set(done.stdout.splitlines())


@pytest.fixture
def slurm(tmp_path: Path) -> Slurm:
    return Slurm(tmp_path)


def test_a_submission_goes_through_with_its_arguments_input_and_answer(slurm: Slurm) -> None:
    slurm.real("sbatch", 'printf "%s\\n" "$@" >arguments; cat >input; echo "$PATH" >path; echo 7')
    done = slurm.call("sbatch", *SUBMISSION, "a  b", "*", "/dev/stdin", stdin="#!/bin/sh\n echo 'x'\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")
    assert (slurm.folder / "arguments").read_text().splitlines() == [*SUBMISSION, "a  b", "*", "/dev/stdin"]
    assert (slurm.folder / "input").read_text() == "#!/bin/sh\n echo 'x'\n"
    assert str(COMMANDS) not in (slurm.folder / "path").read_text(), "jobs need none of this"
    assert slurm.jobs.read_text() == "7\n"
    assert [path.name for path in slurm.jobs.parent.iterdir()] == ["run-1"], "nothing else is left"


def test_a_controller_that_does_not_answer_is_asked_again(slurm: Slurm) -> None:
    slurm.real("sbatch", f"[ $(wc -l <asked) -gt 3 ] && cat && echo 7 && exit; echo '{UNREACHABLE}' >&2; exit 1")
    done = slurm.call("sbatch", *SUBMISSION, stdin="text\n")
    assert (done.returncode, done.stdout) == (0, "text\n7\n"), "the input is there for every try"
    assert len(slurm.asked()) == 4


@pytest.mark.parametrize("reason", ["AssocMaxSubmitJobLimit", "QOSMaxSubmitJobPerUserLimit"])
def test_a_limit_of_submissions_is_waited_for_while_jobs_of_ours_are_in_the_queue(slurm: Slurm, reason: str) -> None:
    policy = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
    refusal = (
        f"printf '%s\\n' 'sbatch: error: {reason}' \"sbatch: error: Batch job submission failed: {policy}\" >&2; exit 1"
    )
    slurm.real("sbatch", f"[ $(grep -c sbatch asked) = 4 ] && echo 7 && exit; {refusal}")
    slurm.real("squeue", "echo 3")
    done = slurm.call("sbatch", *SUBMISSION, OUTAGE_SECONDS="1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")
    slurm.real("sbatch", refusal)
    slurm.real("squeue", "")
    done = slurm.call("sbatch", *SUBMISSION, OUTAGE_SECONDS="0")
    assert (done.returncode, done.stdout) == (1, ""), "not even one is allowed"
    assert reason in done.stderr


def test_a_controller_that_never_answers_is_given_up(slurm: Slurm) -> None:
    slurm.real("sbatch", f"echo '{UNREACHABLE}' >&2; exit 3")
    done = slurm.call("sbatch", *SUBMISSION, OUTAGE_SECONDS="0")
    assert (done.returncode, done.stdout, done.stderr.strip()) == (3, "", UNREACHABLE)
    assert slurm.jobs.read_text() == ""


def test_under_which_names_jobs_are_is_noted_before(slurm: Slurm) -> None:
    names = slurm.folder / "state" / "names"
    slurm.real("sbatch", f"grep -qx run-1 {names} && echo 7")
    assert slurm.call("sbatch", *SUBMISSION, SLURM_JOB_NAMES_FILE=str(names)).stdout == "7\n"


def test_nothing_is_submitted_any_more_after_an_interrupt(slurm: Slurm) -> None:
    names = slurm.folder / "names"
    Path(f"{names}.stopped").touch()
    done = slurm.call("sbatch", *SUBMISSION, SLURM_JOB_NAMES_FILE=str(names))
    assert (done.returncode, done.stderr) == (130, "sbatch: not submitted, as Snakemake was stopped\n")
    assert not names.exists()
    assert not (slurm.folder / "asked").exists()


@pytest.mark.parametrize("interrupts", [1, 2])
def test_what_was_submitted_is_cancelled_after_an_interrupt(slurm: Slurm, interrupts: int) -> None:
    slurm.real("sbatch", "echo 7; kill -INT 0")  # as a terminal does: to all at once
    slurm.real("scancel", "")
    script = f"""
import os, subprocess
from nmepkg.planning.interruption import cancel_when_interrupted
cancel_when_interrupted()
for _ in range({interrupts}):
    try:
        subprocess.run({[str(COMMANDS / "sbatch"), *SUBMISSION]}, stdin=subprocess.DEVNULL)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    os.remove(os.environ["SLURM_JOB_NAMES_FILE"] + ".stopped")
"""
    done = slurm.python(script)
    assert done.stdout == "interrupted\n" * interrupts, done.stderr
    assert slurm.asked()[interrupts:] == ["scancel --name=run-1"] * 2


def test_an_interrupt_that_another_thread_took_reaches_the_main_thread(slurm: Slurm) -> None:
    done = slurm.python("""
import os, signal, threading, time
from pathlib import Path
from nmepkg.planning.interruption import cancel_when_interrupted
cancel_when_interrupted()

def take():
    time.sleep(0.5)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    time.sleep(60)

threading.Thread(target=take, daemon=True).start()
try:
    threading.Semaphore(0).acquire()
except KeyboardInterrupt:
    print("interrupted")
assert Path(os.environ["SLURM_JOB_NAMES_FILE"] + ".stopped").exists()
""")
    assert done.stdout == "interrupted\n", done.stderr


def test_what_could_not_be_cancelled_is_named(slurm: Slurm) -> None:
    slurm.real("scancel", "exit 1")
    done = slurm.python("""
import os, signal
from pathlib import Path
from nmepkg.planning.interruption import cancel_when_interrupted
cancel_when_interrupted()
Path(".snakemake/slurm_jobs").mkdir(parents=True)
Path(os.environ["SLURM_JOB_NAMES_FILE"]).write_text("run-1\\nrun-1\\n")
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    pass
""")
    assert done.stderr.endswith("jobs may be left in the queue; cancel them: scancel --name=run-1\n")
    assert done.returncode == 0


def test_any_other_refusal_is_passed_on_at_once(slurm: Slurm) -> None:
    refusal = "sbatch: error: Batch job submission failed: Invalid account"
    slurm.real("sbatch", f"echo '{refusal}' >&2; exit 1")
    done = slurm.call("sbatch", *SUBMISSION)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (1, "", refusal)
    assert len(slurm.asked()) == 1


@pytest.mark.parametrize("earlier", ["", "4\n5\n"])
def test_a_job_whose_acceptance_got_lost_is_not_submitted_twice(slurm: Slurm, earlier: str) -> None:
    slurm.real("sbatch", f"echo '{TIMED_OUT}' >&2; exit 1")
    listed = ["5|rule_measure", "6|rule_train", *(["4|rule_train"] if earlier else [])]
    slurm.real("squeue", f"printf '%s\\n' {' '.join(map(repr, listed))}")
    slurm.jobs.parent.mkdir(parents=True)
    slurm.jobs.write_text(earlier)  # an earlier try of the same job, and another's
    done = slurm.call("sbatch", *SUBMISSION)
    assert (done.returncode, done.stdout, done.stderr) == (0, "6\n", "")
    assert slurm.jobs.read_text() == f"{earlier}6\n"
    assert [line.split()[0] for line in slurm.asked()] == ["sbatch", "squeue"]


def test_it_is_not_submitted_again_before_it_can_be_looked_for(slurm: Slurm) -> None:
    slurm.real("sbatch", f"[ $(grep -c sbatch asked) = 2 ] && echo 9 && exit; echo '{TIMED_OUT}' >&2; exit 1")
    slurm.real("squeue", "[ $(grep -c squeue asked) = 3 ] || exit 1; echo '6|rule_measure'")
    done = slurm.call("sbatch", *SUBMISSION)
    assert (done.returncode, done.stdout, done.stderr) == (0, "9\n", "")
    assert [line.split()[0] for line in slurm.asked()] == ["sbatch", "squeue", "squeue", "squeue", "sbatch"]


def test_jobs_that_are_not_of_the_executor_are_not_touched(slurm: Slurm) -> None:
    slurm.real("sbatch", "echo 7")
    assert slurm.call("sbatch", "--wrap=true").stdout == "7\n"
    assert slurm.call("sbatch", *SUBMISSION, "--array=1-3").stdout == "7\n"
    assert not slurm.jobs.exists()


def test_the_status_of_a_preempted_job_is_one_that_is_tried_again(slurm: Slurm) -> None:
    slurm.real("squeue", "printf '%s\\n' '1|RUNNING' '2|PREEMPTED' '3|COMPLETING' '4|PENDING'")
    assert slurm.status() == {"1|RUNNING", "2|CANCELLED", "3|COMPLETING", "4|PENDING"}
    assert slurm.asked() == ["squeue --all " + " ".join(STATUS)]


def test_a_job_that_slurm_forgot_has_ended(slurm: Slurm) -> None:
    slurm.real("sbatch", "wc -l <asked")
    for _ in range(3):
        slurm.call("sbatch", *SUBMISSION)
    slurm.real("squeue", "printf '%s\\n' '2|RUNNING' '9|PENDING'")
    assert slurm.status() == {"1|COMPLETED", "2|RUNNING", "3|COMPLETED", "9|PENDING"}
    slurm.real("squeue", "")
    assert slurm.status() == {"1|COMPLETED", "2|COMPLETED", "3|COMPLETED"}


def test_a_job_that_is_submitted_while_squeue_answers_has_not_ended(slurm: Slurm) -> None:
    slurm.real("sbatch", "echo 7")
    slurm.real("squeue", f"echo '1|RUNNING'; {COMMANDS / 'sbatch'} {' '.join(SUBMISSION)} </dev/null >/dev/null")
    assert slurm.status() == {"1|RUNNING"}
    assert slurm.jobs.read_text() == "7\n"
    slurm.real("squeue", "printf '%s\\n' '1|RUNNING' '7|PENDING'")
    assert slurm.status() == {"1|RUNNING", "7|PENDING"}


@pytest.mark.parametrize(
    "error", ["Unable to contact slurm controller (connect failure)", "Socket timed out on send/recv"]
)
def test_no_answer_is_no_news(slurm: Slurm, error: str) -> None:
    slurm.real("sbatch", "echo 7")
    slurm.call("sbatch", *SUBMISSION)
    slurm.real("squeue", f"echo 'slurm_load_jobs error: {error}' >&2; exit 1")
    assert slurm.status() == set()


def test_a_query_that_fails_otherwise_fails(slurm: Slurm) -> None:
    slurm.real("squeue", "echo 'squeue: error: Invalid user' >&2; exit 2")
    done = slurm.call("squeue", *STATUS)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "squeue: error: Invalid user\n")


def test_sacct_is_answered_by_squeue(slurm: Slurm) -> None:
    slurm.real("squeue", "printf '%s\\n' '1|RUNNING' '2|PREEMPTED' '3|CANCELLED'")
    slurm.real("sacct", "echo '3|CANCELLED by 0'")
    arguments = ("-X", "--parsable2", "--noheader", "--format=JobIdRaw,State", "--endtime", "now", "--name", "run-1")
    done = slurm.call("sacct", *arguments)
    assert set(done.stdout.splitlines()) == {"1|RUNNING", "2|CANCELLED", "3|CANCELLED"}
    assert slurm.asked() == ["squeue --all " + " ".join(STATUS)]


@pytest.mark.parametrize("command", ["squeue", "sacct"])
def test_what_is_asked_about_no_run_goes_through(slurm: Slurm, command: str) -> None:
    slurm.real(command, "cat; echo PREEMPTED; exit 4")
    done = slurm.call(command, "-j", "5", stdin="input\n")
    assert (done.returncode, done.stdout) == (4, "input\nPREEMPTED\n")
    assert slurm.asked() == [f"{command} -j 5"]
