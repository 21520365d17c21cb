"""Starting Python on several MPI ranks from a test, with a limit of time, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

DRIVER = Path(__file__).with_name("mpi_driver.py")
ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}  # as in a container


def mpirun() -> str:
    """The program: beside this Python, where Open MPI's wheel puts it, or on the path."""
    return shutil.which("mpirun", path=str(Path(sys.executable).parent)) or shutil.which("mpirun") or "mpirun"


def start(ranks: int, *args: object, **environment: str) -> subprocess.Popen[bytes]:
    """The driver on so many ranks, of one thread each."""
    command = [mpirun(), "--oversubscribe", "-n", str(ranks), sys.executable, str(DRIVER), *map(str, args)]
    environment = os.environ | ROOT | {"MULTIRES_NUM_THREADS": "1"} | environment
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, start_new_session=True)


def finish(process: subprocess.Popen[bytes], seconds: float = 100.0) -> tuple[int, str]:
    """Exit status and output; an AssertionError, after everything was ended, where it takes longer."""
    try:
        output = process.communicate(timeout=seconds)[0].decode(errors="replace").replace("\0", "")
    except subprocess.TimeoutExpired:
        process.terminate()  # mpirun ends its ranks
        output = process.communicate(timeout=20)[0].decode(errors="replace")
        raise AssertionError(f"the ranks hang; so far they said: {output}") from None
    return process.returncode, output


def run(ranks: int, *args: object, **environment: str) -> tuple[int, str]:
    """The driver on so many ranks, to its end."""
    return finish(start(ranks, *args, **environment))


def still_running(marker: str, seconds: float = 5.0) -> list[int]:
    """The processes whose command line holds `marker`, after they had so many seconds to end."""
    end = time.monotonic() + seconds
    while (found := [n for n in processes() if marker in command_line(n)]) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def command_line(number: int) -> str:
    try:
        return Path(f"/proc/{number}/cmdline").read_text()
    except OSError:
        return ""


def interrupt(process: subprocess.Popen[bytes], number: int = signal.SIGINT) -> None:
    """What Ctrl-C in the terminal of mpirun does."""
    os.kill(process.pid, number)
