"""Write the predictions of a run with one process or many, to the same bytes."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from promptseg.core import progress
from promptseg.data import records
from promptseg.data.records import Prediction

if TYPE_CHECKING:
    from promptseg.inference.prediction import Job

CHUNK = 16  # records that a process takes at a time


def write_predictions(job: "Job", out: Path, metadata: dict, predict_record: Callable[[int], Prediction]) -> None:
    """Write a prediction for each record, computed by all processes of the job.

    Args:
        job: model, features and records.
        out: Parquet file.
        metadata: of the file.
        predict_record: index of a record -> its prediction.
    """
    processes = job.processes
    own = out if processes.world == 1 else _share(out, processes.rank)
    with records.RecordWriter(own, Prediction, metadata) as writer:
        chunks = list(processes.chunks(len(job.records), CHUNK))
        for chunk in progress.bar(chunks, desc="predict", main=processes.main):
            for index in chunk:
                writer.add(predict_record(index))
    processes.wait()
    if processes.main and processes.world > 1:
        _merge(out, processes.world, len(job.records), metadata)
    processes.close()


def _share(out: Path, rank: int) -> Path:
    return out.with_name(f".{out.name}.share{rank}")


def _merge(out: Path, world: int, count: int, metadata: dict) -> None:
    """Merge the processes' shares in the order of the split."""
    shares = [records.open_predictions(_share(out, rank)) for rank in range(world)]
    with records.RecordWriter(out, Prediction, metadata) as writer:
        for index in range(count):
            chunk, position = divmod(index, CHUNK)
            turn, rank = divmod(chunk, world)
            writer.add(shares[rank][turn * CHUNK + position])
    for share in out.parent.glob(f".{out.name}.share*"):  # also those of an earlier, larger group that was killed
        share.unlink()
