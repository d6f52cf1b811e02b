"""The programs at work: each started on its share of the machine, all ended together."""

import asyncio
import subprocess
from typing import IO

from studies.shares import Share

SECONDS_BETWEEN_LOOKS = 0.05


class Programs:
    """The programs that this process has started and that still run."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen] = []

    def __len__(self) -> int:
        return len(self._running)

    async def run(self, command: list[str], share: Share, log: IO[bytes], lock: IO[str]) -> int:
        """Runs a program to its end.

        Args:
            command: its command line.
            share: the cores and the GPU that it has.
            log: what it prints goes there.
            lock: a locked file, which it keeps locked if we are killed and it is not.

        Returns:
            Its exit status.

        Raises:
            OSError: it cannot be started.
        """
        with share.inherited():
            # In a session of its own, so that Ctrl-C reaches it through us, once.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=share.environment,
                start_new_session=True,
                pass_fds=(lock.fileno(),),
            )
        self._running.append(process)
        while process.poll() is None:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        self._running.remove(process)
        return process.returncode

    def end_all(self) -> None:
        """Asks all of them to end, and then waits until they have."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait()
