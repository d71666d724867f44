"""Oxford-IIIT Pet: photos of cats and dogs of 37 breeds, each with a trimap.

Layout:
    images/<Breed>_<N>.jpg                   7390 photos, beside some stray .mat files
    annotations/trimaps/<Breed>_<N>.png      8-bit labels, gray or palette: 1 pet, 2 background, 3 border; beside
                                             as many `._*` files of macOS
    annotations/{list,trainval,test}.txt     a line `name class species breed`; species 1 cat, 2 dog; `#` comments
The two folders may lie in the given folder or in one below it, and each may hold a folder of its own name once more,
as some unpackings do. Names of cats begin with a capital, names of dogs do not; the lists must agree with that.

The lists name 3680 photos to train on and 3669 to test on. The 41 that neither names are left out, and so are those of
LEFT_OUT, which are no ordinary photos. The border is a band round the outline that is neither pet nor background; it
is ignored (255).

The official split is by photo, with every breed in both lists. Nothing says which photos show the same animal, so each
photo is a group of its own, and whether animals cross the split cannot be checked. Where both split lists are missing,
as they may be in a copy of a part, no photo has a split, and species come from list.txt or else from the names.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.data.file_names import natural
from promptseg.datasets import Sample
from promptseg.datasets.pets.breeds import BREEDS
from promptseg.datasets.pets.photo import photo
from promptseg.datasets.pets.poses import POSES
from promptseg.datasets.pets.rooms import ROOMS
from promptseg.download import archives, http

TITLE = "Oxford-IIIT Pet"
LICENCE = "CC BY-SA 4.0; the photos remain their owners'"
CITATION = (
    "O. M. Parkhi, A. Vedaldi, A. Zisserman, C. V. Jawahar, Cats and dogs, "
    "IEEE Conference on Computer Vision and Pattern Recognition (2012) 3498-3505, doi:10.1109/CVPR.2012.6248092"
)
ACCESS = "automatic"
CLASSES = ("cat", "dog")
SPLIT_SIZES = {"train": 3678, "test": 3668}  # of 3680 and 3669, without LEFT_OUT

ADDRESS = "https://www.robots.ox.ac.uk/~vgg/data/pets/data/"
ARCHIVES = {  # name: MD5, and bytes where they are known
    "annotations.tar.gz": ("95a8c909bbe2e81eed6a22bccdf3f68f", None),
    "images.tar.gz": ("5c4f3ee8e5d25df40f4fd59a7f44e54c", 791_918_971),
}
LEFT_OUT = frozenset(
    (
        # PNG pictures with an alpha channel, named .jpg; these three are in the lists
        "Abyssinian_5", "Egyptian_Mau_14", "Egyptian_Mau_186",
        # JPEG without color; in no list
        "Egyptian_Mau_129", "staffordshire_bull_terrier_2", "staffordshire_bull_terrier_22",
        # GIF pictures, named .jpg; in no list
        "Abyssinian_34", "Egyptian_Mau_139", "Egyptian_Mau_145", "Egyptian_Mau_167", "Egyptian_Mau_177",
        "Egyptian_Mau_191",
    )
)  # fmt: skip
IMAGES, ANNOTATIONS, TRIMAPS = "images", "annotations", "trimaps"
LISTS = {"trainval.txt": "train", "test.txt": "test"}
SPECIES = {1: "cat", 2: "dog"}
SAMPLE = {"trainval.txt": 30, "test.txt": 24}


def download(folder: Path) -> None:
    """Fetch both archives (0.8 GB), checked by MD5, and unpack them into `folder`. Raises UserError."""
    for name, (md5, size) in ARCHIVES.items():
        archive = folder / name
        http.fetch(ADDRESS + name, archive, md5=md5, size=size)
        archives.unpack(archive, folder)
        archive.unlink()


def verify(folder: Path) -> None:
    """Raise UserError with the first photo or trimap that is alone, list that is wrong, or split that has no photo.

    A part of the official files is accepted; pixels are checked when they are read.
    """
    found = {split for _, split, _, _ in _pairs(folder)}
    for name, split in LISTS.items():
        if found != {None} and split not in found:
            raise UserError(
                f"{_home(folder, ANNOTATIONS) / name}: none of its photos is there; copy some of them as well"
            )


def read(folder: Path) -> Iterator[Sample]:
    """Pictures by name, numbers in their order. Raises UserError at once where names do not pair.

    image() is (h, w, 3) uint8, or (h, w) of a gray photo; mask() (h, w) uint8: 1 cat, 2 dog, 255 border.
    """
    return (
        Sample(
            id=image.stem,
            split=split,
            group=image.stem,
            image=partial(image_io.read_image, image),
            mask=partial(image_io.read_mask, trimap, {1: species, 2: 0, 3: 255}),
            file=image,
        )
        for species, split, image, trimap in _pairs(folder)
    )


def sample(folder: Path, seed: int) -> None:
    """Draw 54 photos of cats and dogs with their trimaps and lists; the same seed gives the same bytes."""
    rng = np.random.default_rng(seed)
    trimaps = folder / ANNOTATIONS / TRIMAPS
    for home in (folder / IMAGES, trimaps):
        home.mkdir(parents=True, exist_ok=True)
    rows = {name: [] for name in SAMPLE}
    taken = set()
    for name, count in SAMPLE.items():
        # All breeds, poses and places come up in turn in both lists, in an order of their own.
        breeds, poses, rooms = (_turns(rng, things, count) for things in (BREEDS, tuple(POSES), ROOMS))
        for breed, pose, room in zip(breeds, poses, rooms):
            number = int(rng.choice([n for n in range(1, 250) if f"{breed.name}_{n}" not in taken | LEFT_OUT]))
            stem = f"{breed.name}_{number}"
            taken.add(stem)
            jpeg, trimap = photo(rng, breed, pose, room)
            (folder / IMAGES / f"{stem}.jpg").write_bytes(jpeg)
            (trimaps / f"{stem}.png").write_bytes(image_io.png(trimap))
            rows[name].append(f"{stem} {breed.number} {breed.species} {breed.rank}")
    header = [
        "#Image CLASS-ID SPECIES BREED ID",
        "#ID: 1:37 Class ids",
        "#SPECIES: 1:Cat 2:Dog",
        "#BREED ID: 1-25:Cat 1:12:Dog",
        "#All images with 1st letter as captial are cat images",  # as the official list spells it
        "#images with small first letter are dog images",
    ]
    rows["list.txt"] = header + sorted((row for lines in rows.values() for row in lines), key=natural)
    for name, lines in rows.items():
        (folder / ANNOTATIONS / name).write_bytes("\n".join([*lines, ""]).encode("ascii"))


def _turns(rng: np.random.Generator, things: tuple, count: int) -> list:
    """`count` of the things: each as often as any other, in random order."""
    rounds = [things[i] for _ in range(-(-count // len(things))) for i in rng.permutation(len(things))]
    return rounds[:count]


def _pairs(folder: Path) -> list[tuple[int, str | None, Path, Path]]:
    """(species, split, photo, trimap) of every name that is read, in order. Raises UserError."""
    images, trimaps = _home(folder, IMAGES), _home(folder, ANNOTATIONS) / TRIMAPS
    species, splits = _lists(trimaps.parent)
    photos, drawn = _names(images, ".jpg"), _names(trimaps, ".png")
    wanted = (photos | drawn) - LEFT_OUT
    wanted &= splits.keys() or species.keys() or wanted
    for name in sorted(wanted & (photos ^ drawn), key=natural)[:1]:
        here, there = images / f"{name}.jpg", trimaps / f"{name}.png"
        alone, missing = (here, there) if name in photos else (there, here)
        raise UserError(f"{missing}: not found, and {alone.name} needs it; restore it or delete {alone.name}")
    if not wanted:
        raise UserError(f"{images}: no photo that the lists in {trimaps.parent} name; unpack both archives again")
    return [
        (species.get(name, _by_name(name)), splits.get(name), images / f"{name}.jpg", trimaps / f"{name}.png")
        for name in sorted(wanted, key=natural)
    ]


def _home(folder: Path, part: str) -> Path:
    """The folder `images` or `annotations`: in the given folder, or in one below it; once or twice. Raises UserError."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; set datasets.pets.source to where the archives were unpacked")
    below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    for root in (folder, *below):
        if (root / IMAGES).is_dir() and (root / ANNOTATIONS).is_dir():
            return next(home for home in (root / part / part, root / part) if home.is_dir())
    raise UserError(
        f"{folder}: it must hold `{IMAGES}` and `{ANNOTATIONS}`; unpack both archives of Oxford-IIIT Pet there"
    )


def _names(folder: Path, suffix: str) -> set[str]:
    """Names without suffix of the files that have it; hidden ones are what unpackers leave behind."""
    if not folder.is_dir():
        raise UserError(f"{folder}: not found; unpack the archive annotations.tar.gz again")
    names = {path.stem for path in folder.iterdir() if path.suffix == suffix and not path.name.startswith(".")}
    for name in names:
        if not re.fullmatch(r"[A-Za-z][A-Za-z_]*_[0-9]+", name):
            raise UserError(f"{folder}: the name {name + suffix!r} is not like Abyssinian_1{suffix}; rename the file")
    return names


def _lists(annotations: Path) -> tuple[dict[str, int], dict[str, str]]:
    """{name: species} of all lists that there are, and {name: split}. Raises UserError where they contradict."""
    species, splits = {}, {}
    there = [name for name in LISTS if (annotations / name).is_file()]
    if len(there) == 1:
        missing = annotations / next(name for name in LISTS if name not in there)
        raise UserError(f"{missing}: not found beside {there[0]}; restore it, or delete both for a split drawn by chance")
    for file in ["list.txt", *there]:
        for where, name, number in _lines(annotations / file) if (annotations / file).is_file() else ():
            if number != _by_name(name):
                told, named = SPECIES.get(number, "neither cat nor dog"), SPECIES[_by_name(name)]
                raise UserError(f"{where}: {name} has species {number} ({told}), but is named as a {named}; correct it")
            if file in LISTS and splits.setdefault(name, LISTS[file]) != LISTS[file]:
                raise UserError(f"{where}: {name} stands in trainval.txt as well; restore the official lists")
            species[name] = number
    return species, splits


def _lines(path: Path) -> Iterator[tuple[str, str, int]]:
    """(where, name, species) of each line. Raises UserError at the first that is none."""
    for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        where = f"{path}: line {number}"
        if len(fields) != 4 or not all(re.fullmatch("[0-9]{1,3}", field) for field in fields[1:]):
            raise UserError(f"{where}: it should be like `Abyssinian_1 1 1 1`; restore the official list")
        yield where, fields[0], int(fields[2])


def _by_name(name: str) -> int:
    """The species by the first letter: 1 cat if it is a capital, else 2 dog."""
    return 1 if name[0].isupper() else 2
