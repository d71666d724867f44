"""A process of `dvc repro --single-item`, and which of its stages have ended."""

import re
import subprocess
import sys
import tempfile
import time

from promptseg.core.stage import tied_to_parent

DVC = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item"]


class DvcProcess:
    """A process that runs stages one after the other.

    Args:
        stages: names, independent of each other.
        environment: of the process.
    """

    def __init__(self, stages: list[str], environment: dict[str, str]):
        self.stages = stages
        self._output = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [*DVC, *stages], stdout=self._output, stderr=subprocess.STDOUT, env=environment, preexec_fn=tied_to_parent
        )
        self._index, self._offset, self._start = 0, 0, time.monotonic()
        self.failed: str | None = None

    @property
    def running(self) -> bool:
        """Whether it has stages left and none has failed."""
        return self._index < len(self.stages) and self.failed is None

    @property
    def stage(self) -> str:
        """The stage that runs now, or the one that failed."""
        return self.stages[self._index]

    @property
    def seconds(self) -> float:
        """How long the stage has been running."""
        return time.monotonic() - self._start

    def poll(self) -> list[tuple[str, float]]:
        """Return the stages that have ended well since the last poll, and how long each took."""
        code, ended = self._process.poll(), []
        while self._index + 1 < len(self.stages):
            # DVC announces a stage when the entry of the one before is in dvc.lock.
            announced = re.search(
                rf"^(Running stage|Stage) '{re.escape(self.stages[self._index + 1])}'", self.text(), re.M
            )
            if announced is None:
                break
            self._offset += len(self.text()[: announced.start()])
            ended.append(self._advance())
        if code == 0:
            ended += [self._advance() for _ in range(self._index, len(self.stages))]
        elif code is not None:
            self.failed = self.stage
        return ended

    def end(self) -> None:
        """End the process, and with it the stage that it runs, and wait for that."""
        self._process.terminate()
        self._process.wait()

    def text(self) -> str:
        """Output of the current stage, and of DVC around it."""
        self._output.seek(0)
        return self._output.read().decode(errors="replace")[self._offset :]

    def _advance(self) -> tuple[str, float]:
        ended = self.stage, self.seconds
        self._index, self._start = self._index + 1, time.monotonic()
        return ended
