"""Prompts: a module for each kind, their settings in params.yaml, and how the prompts of a record are built.

A kind is a subclass of `PromptPart` in a module of this package; all modules are imported, so a new kind is a new file.
A prompt holds the parts of one or more kinds for one class.
"""

import importlib
import json
import pkgutil
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pydantic

from promptseg.core.errors import UserError
from promptseg.core.settings import Settings
from promptseg.prompts.base import PromptPart, PromptSource, Sweep
from promptseg.prompts.prompt import Prompt

if TYPE_CHECKING:
    from promptseg.data.masks import Region
    from promptseg.prompts.automatic import AutomaticMasks
    from promptseg.prompts.base import Per, Readout, Values

__all__ = [
    "KINDS", "Prompt", "PromptConfig", "PromptPart", "PromptSource", "build_prompts", "from_json", "join_kinds",
    "to_json",
]  # fmt: skip


def _kinds() -> dict[str, type[PromptPart]]:
    """The classes of all modules in this package, by KIND, in the order of their modules' names."""
    kinds = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for value in vars(module).values():
            own = isinstance(value, type) and value.__module__ == module.__name__  # not what it imports
            if own and issubclass(value, PromptPart) and value is not PromptPart:
                kinds[value.KIND] = value
    return kinds


KINDS = _kinds()
_FIELDS: dict[str, Any] = {
    name: (f.annotation, f) for kind in KINDS.values() for name, f in kind.Config.model_fields.items()
}


class _PromptConfig(Settings):
    """Prompt of a run in params.yaml: the keys of one kind, or of kinds that combine, or none."""

    if TYPE_CHECKING:  # keys of kinds that are read here
        clicks: int | None
        start: str
        points: int | None
        sampling: str
        jitter: float | Values
        offset: float | Values
        seeds: list[int] | None
        per: Per
        together: bool
        exemplars: int | None
        readout: Readout | None
        automatic: bool | AutomaticMasks

    @pydantic.model_validator(mode="after")
    def _check_kinds(self):
        for kind in KINDS.values():
            keys = {key: getattr(self, key) for key in kind.Config.model_fields if key in self.model_fields_set}
            try:
                kind.Config(**keys)
            except pydantic.ValidationError as error:
                first = error.errors()[0]
                location = ".".join(str(step) for step in first["loc"])
                raise ValueError(f"{location}: {first['msg'].removeprefix('Value error, ')}") from None
        given = self.kinds
        for name in given:
            beside = [other for other in given if other != name and other not in KINDS[name].COMBINES]
            if beside:
                raise ValueError(f"{name} and {beside[0]} do not go together")
        for key in self.model_fields_set:
            owners = [name for name, kind in KINDS.items() if key in kind.Config.model_fields]
            if not set(owners) & set(given) and getattr(self, key) != _FIELDS[key][1].default:
                raise ValueError(f"{key} belongs to {' and '.join(owners)}")
        if "image_weight" in self.model_fields_set and self.kind != "text + support":
            raise ValueError("image_weight belongs to support with text")
        if self.seeds and not (self.jitter or self.exemplars or (self.points and self.sampling == "random")):
            random = "random points, boxes with jitter and exemplars"
            raise ValueError(f"seeds belongs to {random}; nothing else is random here")
        if self.together and self.kind != "text" and (self.kind != "points" or self.per != "instance"):
            raise ValueError("together belongs to points alone, with per: instance, or to text alone")
        if isinstance(self.jitter, list) and isinstance(self.offset, list):
            raise ValueError("one of jitter and offset may be a list, not both")
        return self

    @property
    def kinds(self) -> list[str]:
        """Names of the kinds that are given; empty where the model is not prompted."""
        return [name for name in _ORDER if getattr(self, name) not in (None, False)]

    @property
    def kind(self) -> str:
        """The kinds as models list them: `points`, `text + support`, ...; `none` where the model is not prompted."""
        return join_kinds(self.kinds)

    @property
    def model_kind(self) -> str:
        """As `kind`, with each kind as what models receive in its place."""
        return join_kinds(model_kind(name) for name in self.kinds)

    @property
    def oracle(self) -> bool:
        """Whether prompts are taken from the ground truth, so that scores are not those of a system in use."""
        return any(KINDS[name].ORACLE for name in self.kinds)

    @property
    def per_region(self) -> bool:
        """Whether each region of the ground truth has a prompt of its own, not each class."""
        return self.oracle and not any(KINDS[name].OF_CLASS for name in self.kinds)

    @property
    def of_instances(self) -> bool:
        """Whether prompts depend on which instances there are."""
        return self.per == "instance" or self.exemplars is not None

    @property
    def source(self) -> str:
        """Where prompts come from, a column of the tables."""
        if self.kind == "automatic":
            return "none, matched with the ground truth (oracle)"
        moved = [name for name in ("jitter", "offset") if getattr(self.first, name)]
        return f"{' with '.join(['ground truth', *moved])} (oracle)" if self.oracle else self.kind

    @property
    def sweep(self) -> Sweep | None:
        """What the run tries in several steps; None: nothing. Its own score is that of `first`, of clicks the last."""
        if self.clicks is not None:
            return Sweep("clicks", range(self.start == "point", self.clicks + 1))
        swept = [name for name in ("jitter", "offset") if isinstance(getattr(self, name), list)]
        return Sweep(swept[0], getattr(self, swept[0])) if swept else None

    def at(self, step: float) -> "_PromptConfig":
        """The prompt of one step of a sweep over jitter or offset."""
        assert self.sweep is not None
        return self.model_copy(update={self.sweep.by: step})

    @property
    def first(self) -> "_PromptConfig":
        """The prompt of the first step of a sweep over jitter or offset; of any other prompt the same."""
        return self if self.sweep is None or self.clicks is not None else self.at(self.sweep.steps[0])

    @property
    def generator(self) -> "AutomaticMasks":
        """Settings of the automatic mask generator."""
        from promptseg.prompts.automatic import AutomaticMasks

        return self.automatic if isinstance(self.automatic, AutomaticMasks) else AutomaticMasks()

    def describe(self) -> str:
        """Describe the prompt in a few words, such as `1 random point an instance` or `"black spots"`."""
        words = " + ".join(KINDS[name].describe(self) for name in self.kinds) or "none"
        words += " an instance" if self.oracle and self.per == "instance" else ""
        words += ", all in one prompt" if self.together else ""
        words += f", {self.readout} readout" if self.readout else ""
        for name in ("jitter", "offset"):
            value = getattr(self, name)
            if value:
                listed = value if isinstance(value, list) else [value]
                words += f", {name} {', '.join(f'{each:g}' for each in listed)}"
        return words

    def check(self, classes: list[str], where: str) -> None:
        """Raise UserError unless the prompt fits a dataset with these classes. where: the run's name."""
        for name in self.kinds:
            KINDS[name].check(self, classes, where)


_ORDER = ["text", "support", *(name for name in KINDS if name not in ("text", "support"))]
# Any, as its fields are those of the modules that are here.
PromptConfig: Any = pydantic.create_model("PromptConfig", __base__=_PromptConfig, __module__=__name__, **_FIELDS)


def join_kinds(kinds: Iterable[str]) -> str:
    """Name a combination of kinds as models list it: `points`, `text + support`, ...; `none` where it is empty."""
    return " + ".join(sorted(kinds, key=_ORDER.index)) or "none"


def model_kind(kind: str) -> str:
    """The kind that a model receives for this one."""
    return KINDS[kind].MODEL_KIND or kind


def build_prompts(config: Any, source: PromptSource) -> "tuple[list[Prompt], list[Region]]":
    """Build the prompts for one record.

    Args:
        config: PromptConfig.
        source: the record. Oracle prompts depend on (seed, id) alone, whatever process builds them.

    Returns:
        The prompts, and for each the region of the ground truth that it prompts for. Classes that the mask does not
        have get no oracle prompt. A class that no support image shows is prompted for by text alone, as in
        CLIPSeg's training.py, or not at all where there is no text.

    Raises:
        UserError: the number of phrases is wrong, there is no caption, or no support image shows any class.
    """
    from promptseg.data import masks
    from promptseg.prompts.points import Points

    rng = source.generator()
    prompts, regions = [], []
    for target in range(1, len(source.classes) + 1):
        if source.requested is not None and target not in source.requested:
            continue
        of_class = source.mask == target
        if config.oracle and not of_class.any():
            continue
        if config.per_region:
            found = masks.regions(of_class, config.per == "instance", source.instances)
            made = [[KINDS[name].from_mask(config, region, rng) for name in config.kinds] for region in found]
            if config.together and made:
                made, found = [[Points.join(parts)] for parts in zip(*made)], masks.regions(of_class, False)
            for parts, region in zip(made, found, strict=True):
                prompts.append(Prompt.of(*parts, target=target))
                regions.append(region)
            continue
        built = [KINDS[name].from_source(config, source, target) for name in config.kinds]
        parts = [part for part in built if part is not None]
        if parts or not config.kinds:
            about = {"readout": config.readout, "together": config.together}
            prompts.append(Prompt.of(*parts, target=target, is_classification=source.is_classification, **about))
            regions.append(masks.whole_region(of_class))
    if config.support and not prompts:
        names = ", ".join(source.classes)
        raise UserError(f"{source.id}: no support image of it shows {names}; prompt by text as well")
    return prompts, regions


def to_json(prompts: list[Prompt]) -> str:
    """Serialize prompts as a JSON list, without pixels."""
    entries = []
    for prompt in prompts:
        entry: dict[str, Any] = {"target": prompt.target}
        for part in prompt.parts.values():
            entry |= part.to_json()
        entries.append(entry)
    return json.dumps(entries, ensure_ascii=False)


def from_json(text: str) -> list[Prompt]:
    """Read what `to_json` wrote, as far as it can be drawn."""
    prompts = []
    for entry in json.loads(text):
        parts = [KINDS[name].from_json(entry) for name in _ORDER]
        prompts.append(Prompt.of(*(part for part in parts if part is not None), target=entry["target"]))
    return prompts
