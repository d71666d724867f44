"""Ask a model about every picture of a container, and write down what it answers."""

from pathlib import Path

import numpy as np
import torch

from promptseg import models, prompts
from promptseg.core import params, progress
from promptseg.core.devices import Processes
from promptseg.data import generated_masks, point_clouds, records
from promptseg.data.records import Prediction, Record, RecordReader
from promptseg.inference import automatic_masks, embedding_cache
from promptseg.nn import batch_sizes, finetuned_weights, weights
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import Prompt

CHUNK = 16  # pictures dealt out to a process at a time


def predict(
    run: params.Run, seed: int, truth: Path, checkpoint: Path, trained: Path | None, cache: Path, out: Path
) -> None:
    """Write the predictions of a run: one row for each row of the container `truth`, in its order.

    checkpoint: folder of released weights; trained: folder of a fine-tuned run's weights, or None for zero-shot;
    cache: folder of the embedding caches. The bytes do not depend on how many processes take part.
    """
    processes = Processes()
    pairs = records.pairs(truth)
    classes = pairs.about["classes"]
    segmenter = models.load(run.model).load(checkpoint, len(classes)).to(processes.device)
    segmenter.check_modality(pairs.about.get("kind", "picture"), run.dataset)
    segmenter.check_prompt(run.prompt)
    digest = weights.digest(checkpoint)
    if trained is not None:
        digest = finetuned_weights.apply(segmenter, digest, trained)
    features = embedding_cache.features(segmenter, digest, truth, pairs, cache, processes)
    about = {
        "classes": pairs.about["classes"],
        "model": run.model,
        "prompt": run.prompt.model_dump(exclude_defaults=True),
        "oracle": run.prompt.oracle,
    }
    mine = out if processes.world == 1 else _share(out, processes.rank)
    with records.RecordWriter(mine, Prediction, about) as writer:
        chunks = list(processes.chunks(len(pairs), CHUNK))
        for chunk in progress.bar(chunks, desc="predict", main=processes.main):
            for index in chunk:
                writer.add(_answer(segmenter, features([index]), pairs[index], run.prompt, pairs.about, seed))
    processes.wait()
    if processes.main and processes.world > 1:
        _merge(out, processes.world, len(pairs), about)
    processes.close()


@torch.inference_mode()
def probabilities(
    segmenter: Segmenter, features: Features, asked: list[Prompt], classes: int, height: int, width: int,
    exclusive: bool = False,
) -> np.ndarray:  # fmt: skip
    """What a model answers about one picture: (classes, height, width) float32 in [0, 1].

    asked: prompts in the picture's pixels. Where several ask for one class, each pixel takes the surest answer; a
    class that nothing asks for is 0. exclusive: each pixel is of exactly one of the classes that are asked for; then
    it is their softmax, relative to the surest class, which so comes through eight bits as 1.
    """
    out = np.full((classes, height, width), -np.inf if exclusive else 0.0, np.float32)
    together = batch_sizes.at_once(batch_sizes.PROMPTS, next(iter(features.values())).device)
    for start in range(0, len(asked), together):
        part = asked[start : start + together]
        logits = segmenter.decode(features, [[segmenter.frame.prompt(prompt, height, width) for prompt in part]])[0]
        maps = segmenter.frame.to_picture(logits, height, width)
        maps = (maps if exclusive else torch.sigmoid(maps)).cpu().numpy()
        for prompt, values in zip(part, maps):
            np.maximum(out[prompt.target - 1], values, out=out[prompt.target - 1])
    return np.exp(out - out.max(axis=0)) if exclusive else out


def _answer(
    segmenter: Segmenter, features: Features, pair: Record, settings: params.Prompt, about: dict, seed: int
) -> Prediction:
    """about: what holds for all rows of the pair's container."""
    if settings.kind == "automatic":
        found = automatic_masks.segments(segmenter, features, records.image(pair), settings.generator)
        return Prediction(pair.id, b"", prompts.to_json([]), generated_masks.to_json(found))
    support = records.support(pair) if settings.support else None
    classes, among = about["classes"], about.get("among", {}).get(pair.text)
    whole = about.get("whole", False)
    asked, _ = prompts.ask(settings, records.mask(pair), classes, seed, pair.id, pair.text, support, among, whole)
    probability = probabilities(
        segmenter, features, asked, len(classes), pair.height, pair.width, point_clouds.is_cloud(about)
    )
    return Prediction(pair.id, records.pack(probability), prompts.to_json(asked))


def _share(out: Path, rank: int) -> Path:
    return out.with_name(f".{out.name}.share{rank}")


def _merge(out: Path, world: int, count: int, about: dict) -> None:
    """Lay the processes' shares together in the order of the container."""
    parts: list[RecordReader] = [records.predictions(_share(out, rank)) for rank in range(world)]
    with records.RecordWriter(out, Prediction, about) as writer:
        for index in range(count):
            chunk, place = divmod(index, CHUNK)
            turn, rank = divmod(chunk, world)
            writer.add(parts[rank][turn * CHUNK + place])
    for share in out.parent.glob(f".{out.name}.share*"):  # those of an earlier, larger group that was killed as well
        share.unlink()
