"""dvc.yaml: one code dependency a stage, declared paths only, and nothing from outside reaches a shell."""

import re
import shlex
from functools import reduce
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from dvc.repo import Repo
from promptseg.core import fingerprint, study


@pytest.fixture(scope="module")
def settings():
    return study.load(ROOT / "params.yaml")


@pytest.fixture(scope="module")
def stages():
    """Every stage as DVC resolves it, by its name: `download@em`."""
    with Repo(ROOT) as repo:
        return {stage.addressing: stage for stage in repo.index.stages}


def verb(stage):
    """The script that a stage runs, without suffix."""
    (script,) = re.findall(r"^python stages/(\w+)\.py(?: |$)", stage.cmd)
    return script


def item(name):
    return name.partition("@")[2]


def deps(stage):
    return {dep.def_path for dep in stage.deps if not getattr(dep, "params", None)}


def tracked_keys(stage):
    return [key for dep in stage.deps for key in getattr(dep, "params", [])]


def test_each_entry_of_params_has_its_stages_and_names_are_safe_and_runs_unique(stages, settings):
    runs = {
        "zero_shot": settings.zero_shot,
        "searched": settings.searched,
        "cascade": settings.cascade,
        "finetuned": settings.finetune,
    }
    groups = {
        "download": settings.download, "preprocess": settings.datasets, "checkpoint": settings.models,
        "search": settings.search, "zero_shot": settings.zero_shot, "searched": settings.searched,
        "cascade": settings.cascade, "finetune": settings.finetune,
        "predict": settings.finetune, **{f"evaluate_{kind}": section for kind, section in runs.items()},
    }  # fmt: skip
    expected = {f"{group}@{entry}" for group, entries in groups.items() for entry in entries}
    assert {name for name in stages if "@" in name} == expected and set(stages) - expected == {"code", "report"}
    names = [name for section in runs.values() for name in section]
    assert len(names) == len(set(names)) > 0
    for name in {entry for entries in groups.values() for entry in entries}:
        assert study.NAME.fullmatch(name), name


def test_each_stage_depends_on_the_fingerprint_of_its_verb_and_of_what_it_loads_by_name(stages, settings):
    """The stage `code` alone depends on code."""
    for name, stage in stages.items():
        inside = {path for path in deps(stage) if Path(path).parts[0] == "stages"}
        assert inside == ({"stages"} if name == "code" else set()), name
        loaded = {
            "download": lambda entry: f"/{settings.download[entry].reader}",
            "preprocess": lambda entry: f"/{settings.datasets[entry].reader}",
            "checkpoint": lambda entry: f"/{entry}",
            "evaluate": lambda entry: "",
            "report": lambda entry: "",
            "search": lambda entry: f"/{settings.search[entry].model}",
        }.get(verb(stage), lambda entry: f"/{settings.run(entry).model}")
        expected = {f"data/code/{verb(stage)}{loaded(item(name))}"} if name != "code" else set()
        assert {path for path in deps(stage) if path.startswith("data/code")} == expected, name


def test_every_fingerprint_that_a_stage_needs_is_written(stages, tmp_path):
    fingerprint.write_fingerprints(ROOT / "stages", tmp_path)
    needed = {path for stage in stages.values() for path in deps(stage) if path.startswith("data/code/")}
    written = {f"data/code/{path.relative_to(tmp_path).as_posix()}" for path in tmp_path.rglob("*") if path.is_file()}
    assert needed <= written
    assert {path.split("/")[2] for path in written} == set(fingerprint.LOADED)


def test_a_stage_tracks_keys_that_params_have_and_of_its_own_entry_only(stages):
    """DVC stops at a key that is missing, even where the code has a default for it.

    Evaluation and report track none: each stage with params makes DVC parse params.yaml once more.
    """
    raw, tracked = yaml.safe_load((ROOT / "params.yaml").read_text()), 0
    for name, stage in stages.items():
        for key in tracked_keys(stage):
            reduce(lambda section, part: section[part], key.split("."), raw)
            section, _, rest = key.partition(".")
            assert section in ("seed", "scale") or rest.split(".")[0] == item(name), f"{name}: {key}"
            assert verb(stage) not in ("evaluate", "report", "fingerprint"), name
            tracked += 1
    assert tracked > 200


def test_every_stage_describes_itself_and_its_command_is_python_a_script_and_plain_words(stages):
    """Nothing that a shell would take for more than a word, so nothing from params.yaml but checked names."""
    for name, stage in stages.items():
        assert stage.desc and len(stage.desc.split()) >= 5 and "\n" not in stage.desc, name
        assert item(name) in stage.desc, name
        word = r"[A-Za-z0-9_./-]+"
        assert re.fullmatch(rf'python stages/[a-z_]+\.py( {word}| "{word}")*', stage.cmd), name
        assert (ROOT / "stages" / f"{verb(stage)}.py").is_file(), name
        for word in shlex.split(stage.cmd):
            assert not Path(word).is_absolute() and ".." not in Path(word).parts, name


def test_no_prompt_is_in_a_command(stages, settings):
    runs = [*settings.zero_shot.values(), *settings.finetune.values()]
    prompts = [run.prompt for run in runs] + [prompt for each in settings.search.values() for prompt in each.prompts]
    prompts += [run.train.prompt for run in settings.finetune.values()]
    phrases = {phrase for prompt in prompts if isinstance(prompt.text, list) for phrase in prompt.text}
    assert phrases
    for stage in stages.values():
        # A phrase of one word may be a dataset's name, or part of one.
        words = set(stage.cmd.split())
        assert not [phrase for phrase in phrases if phrase in words or (" " in phrase and phrase in stage.cmd)]


def test_every_path_in_a_command_is_declared_and_in_the_project(stages):
    """DVC neither keeps nor notices what a stage reads or writes undeclared.

    Embeddings are a cache, and the state of a training is removed at its end.
    """
    for name, stage in stages.items():
        declared = {path.def_path for path in [*stage.deps, *stage.outs]}
        assert not [path for path in map(Path, declared) if path.is_absolute() or ".." in path.parts], name
        assert {Path(out.def_path).parts[0] for out in stage.outs} <= {"data", "metrics", "plots"}, name
        temporary = {"data/embeddings", f"data/resume/{item(name)}"}
        paths = {word for word in shlex.split(stage.cmd)[2:] if "/" in word}
        parents = {parent.as_posix() for path in declared for parent in Path(path).parents}
        inside = {path for path in paths if deps(stage) & {parent.as_posix() for parent in Path(path).parents}}
        assert paths - temporary <= declared | parents | inside, name
        assert {out.def_path for out in stage.outs} <= paths, name


SEARCH = {
    "search": {"words": {"dataset": "mine", "model": "clipseg", "phrases": ["a", "b"]}},
    "searched": {"mine-best": {"dataset": "mine", "model": "clipseg", "prompt": {"search": "words"}}},
}


@pytest.mark.parametrize(("sections", "names"), [
    ({}, set()), ({"search": {}, "searched": {}}, set()),
    (SEARCH, {"search@words", "searched@mine-best", "evaluate_searched@mine-best"}),
])  # fmt: skip
def test_searches_are_stages_and_their_sections_may_be_missing_or_empty(tmp_path, sections, names):
    found = resolved(tmp_path, sections)
    assert set(found) == {"code", "preprocess@mine", "report", *names}
    if names:
        assert "data/searches/words.json" in {out.def_path for out in found["search@words"].outs}
        assert "data/searches/words.json" in deps(found["searched@mine-best"])
        assert found["searched@mine-best"].cmd.endswith(" --winner data/searches/words.json")


def resolved(folder, sections):
    """The stages of a study of the user's own folder, with these sections beside, by name."""
    (folder / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    empty = {"download": {}, "models": {}, "zero_shot": {}, "cascade": {}, "finetune": {}}
    mine = {"mine": {"raw": "/somewhere/images", "reader": "folder"}}
    params = {"seed": 0, "scale": {"max_images": None}, "datasets": mine, **empty, **sections}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    Repo.init(folder, no_scm=True).close()
    with Repo(folder) as repo:
        return {stage.name: stage for stage in repo.index.stages}


def test_a_folder_of_the_user_is_a_dependency_and_is_not_copied(tmp_path):
    """`datasets.D.raw` is what preprocess reads, wherever it is."""
    found = resolved(tmp_path, {})
    assert "/somewhere/images" in {str(dep.def_path) for dep in found["preprocess@mine"].deps}
