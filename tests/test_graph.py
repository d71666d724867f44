"""dvc.yaml: each stage depends on the code it can reach, and on no other; nothing from outside reaches a shell."""

import functools
import re
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo
from imports import PACKAGE, STAGES, reached
from promptseg.core import params
from promptseg.download import checkpoints

ROOT = STAGES.parent


@pytest.fixture(scope="module")
def settings():
    return params.load(ROOT / "params.yaml")


@pytest.fixture(scope="module")
def stages():
    """Every stage as DVC resolves it, by its name: `download@em`."""
    with Repo(ROOT) as repo:
        return {stage.addressing: stage for stage in repo.index.stages}


def verb(stage):
    """The script that a stage runs."""
    (script,) = re.findall(r"^python (stages/\w+\.py)(?: |$)", stage.cmd)
    return ROOT / script


@functools.cache
def closure(start):
    return reached(start)


def code(stage, settings):
    """The files of ours that a stage can reach: by imports, by name, and those that it reads."""
    script = verb(stage)
    item = stage.addressing.partition("@")[2]
    starts = [script]
    if script.stem in ("download", "preprocess"):
        starts.append(PACKAGE / "datasets" / f"{settings.dataset(item).reader}.py")
    elif script.stem == "checkpoint":
        starts.append(PACKAGE / "models" / f"{item}.py")
    elif script.stem in ("zero_shot", "finetune", "predict"):
        starts.append(PACKAGE / "models" / f"{settings.run(item).model}.py")
    modules = set().union(*map(closure, starts))
    texts = [module.read_text() for module in modules]
    read = [path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    return modules | {path for path in read if any(_called(path) in text for text in texts)}


def _called(path):
    """What code that reads a file calls it: built-in weights by their folder, everything else by its name."""
    return "BUILT_IN" if path.is_relative_to(checkpoints.BUILT_IN) else path.name


def listed(stage):
    """What of stages/ a stage depends on, as dvc.yaml has it."""
    paths = [ROOT / dep.def_path for dep in stage.deps]
    return {path for path in paths if path.is_relative_to(STAGES)}


def within(dep):
    """The files of a folder that is depended on, or the one file; a room's own few words are no code."""
    files = [path for path in dep.rglob("*") if path.suffix != ".pyc"] if dep.is_dir() else [dep]
    return frozenset(path for path in files if path.is_file() and (dep.is_file() or path.name != "__init__.py"))


def names(paths):
    return sorted(str(path.relative_to(ROOT)) for path in paths)


def test_every_group_of_the_study_is_there(stages, settings):
    groups = {
        "download": settings.datasets,
        "preprocess": settings.datasets,
        "checkpoint": settings.models,
        "zero_shot": settings.zero_shot,
        "finetune": settings.finetune,
        "predict": settings.finetune,
        "evaluate_zero_shot": settings.zero_shot,
        "evaluate_finetuned": settings.finetune,
    }
    expected = {f"{group}@{item}" for group, items in groups.items() for item in items}
    assert expected <= set(stages)
    assert {name for name in stages if "@" in name} == expected


def test_every_stage_depends_on_all_the_code_that_it_reaches(stages, settings):
    missing = {}
    for name, stage in stages.items():
        deps = listed(stage)
        uncovered = {path for path in code(stage, settings) if deps.isdisjoint({path, *path.parents})}
        if uncovered:
            missing[name] = names(uncovered)
    assert missing == {}


def test_no_stage_depends_on_code_that_none_of_its_items_reaches(stages, settings):
    used, deps = {}, {}
    for name, stage in stages.items():
        group = name.partition("@")[0]
        used.setdefault(group, set()).update(code(stage, settings))
        deps.setdefault(group, set()).update(within(dep) for dep in listed(stage))
    idle = {group: names(set().union(*deps[group]) - used[group]) for group in deps}
    assert {group: found for group, found in idle.items() if found} == {}


def test_every_file_of_stages_that_is_depended_on_exists(stages):
    assert names({dep for stage in stages.values() for dep in listed(stage) if not dep.exists()}) == []


def test_every_key_that_a_stage_tracks_stands_in_params(stages):
    """DVC stops at one that does not, even where the code has a default for it."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    tracked = 0
    for name, stage in stages.items():
        for key in [key for dep in stage.deps for key in getattr(dep, "params", [])]:
            value = raw
            for part in key.split("."):
                assert part in value, f"{name}: {key}"
                value = value[part]
            tracked += 1
    assert tracked >= len(stages)


def test_no_stage_depends_on_the_whole_library(stages):
    for stage in stages.values():
        assert listed(stage).isdisjoint({STAGES, PACKAGE, PACKAGE / "datasets", PACKAGE / "models"}), stage.addressing


def test_every_stage_says_what_it_does_and_of_what(stages):
    for name, stage in stages.items():
        assert stage.desc and len(stage.desc.split()) >= 5 and "\n" not in stage.desc, name
        assert name.partition("@")[2] in stage.desc, name


def test_names_are_safe_and_runs_have_one_name_each(stages, settings):
    items = [name.partition("@")[2] for name in stages if "@" in name]
    runs = [*settings.zero_shot, *settings.finetune]
    assert len(runs) == len(set(runs)) > 0
    for name in [*items, *runs, *settings.datasets, *settings.models]:
        assert params.NAME.fullmatch(name), name


def test_every_command_is_python_a_script_and_plain_words(stages):
    """Nothing that a shell would take for more than a word, so nothing from params.yaml but checked names."""
    for name, stage in stages.items():
        assert re.fullmatch(r"python stages/[a-z_]+\.py( [A-Za-z0-9_./-]+)*", stage.cmd), name
        assert verb(stage).is_file(), name
        for word in stage.cmd.split():
            assert not Path(word).is_absolute() and ".." not in Path(word).parts, name


def test_no_prompt_stands_in_a_command(stages, settings):
    runs = [*settings.zero_shot.values(), *settings.finetune.values()]
    asked = [run.prompt for run in runs] + [run.train.prompt for run in settings.finetune.values()]
    phrases = {phrase for prompt in asked if isinstance(prompt.text, list) for phrase in prompt.text}
    assert phrases
    for stage in stages.values():
        assert "prompt" not in stage.cmd.replace("stages/promptseg", "")
        # A phrase of one word may be a dataset's name, or part of one.
        arguments = set(stage.cmd.split())
        assert not [phrase for phrase in phrases if phrase in arguments or (" " in phrase and phrase in stage.cmd)]


def test_inputs_and_outputs_lie_in_the_project_and_no_output_is_code(stages):
    for name, stage in stages.items():
        for path in [*stage.deps, *stage.outs]:
            assert not Path(path.def_path).is_absolute() and ".." not in Path(path.def_path).parts, name
        homes = {Path(out.def_path).parts[0] for out in stage.outs}
        assert homes <= {"data", "metrics", "plots"}, name


def test_every_path_in_a_command_is_declared(stages):
    """What a stage reads or writes and DVC does not know, it neither keeps nor notices; embeddings are a mere cache,
    and where training stands is gone when it ends."""
    for name, stage in stages.items():
        declared = {path.def_path for path in [*stage.deps, *stage.outs]}
        passing = {"data/embeddings", f"data/resume/{name.partition('@')[2]}"}
        paths = {word for word in stage.cmd.split() if "/" in word}
        assert paths - passing <= declared, name
        assert {out.def_path for out in stage.outs} <= paths, name
