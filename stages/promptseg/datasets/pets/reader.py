"""Oxford-IIIT Pet: photos of cats and dogs of 37 breeds, each with a trimap.

Layout, in the given folder or in one folder below it:
    images/<Breed>_<N>.jpg                   7390 photos, beside some stray .mat files
    annotations/trimaps/<Breed>_<N>.png      8-bit labels, gray or palette: 1 pet, 2 background, 3 border; beside
                                             as many `._*` files of macOS
    annotations/{list,trainval,test}.txt     lines `name class species breed`; species 1 cat, 2 dog; `#` comments
`images` and `annotations` may each hold a folder of its own name once more, as some unpackers write them.

Traps:
- The lists name 3680 photos to train on and 3669 to test on. The 41 photos that no list names are skipped, and so are
  those of EXCLUDED, which are no ordinary photos.
- The border is a band along the outline that is neither pet nor background; it is ignored (255).
- Names of cats begin with a capital letter, names of dogs do not; the lists must agree with that.
- The official split is by photo, with every breed in both lists. It is not published which photos show the same animal,
  so each photo is a group of its own, but for near-duplicates, which are looked for, and it cannot be checked whether
  animals occur in both splits.
- If both split lists are missing, as in a copy of some of the files, no photo has a split, and the species come from
  list.txt, or else from the names.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from promptseg.core.errors import UserError
from promptseg.data.file_names import listed, natural
from promptseg.data.image_io import read_mask
from promptseg.datasets import Sample
from promptseg.datasets.official import check_pairs, file_sample, with_subfolders
from promptseg.download import archives

TITLE = "Oxford-IIIT Pet"
LICENCE = "CC BY-SA 4.0; the photos remain their owners'"
CITATION = (
    "O. M. Parkhi, A. Vedaldi, A. Zisserman, C. V. Jawahar, Cats and dogs, "
    "IEEE Conference on Computer Vision and Pattern Recognition (2012) 3498-3505, doi:10.1109/CVPR.2012.6248092"
)
ACCESS = "automatic"
CLASSES = ("cat", "dog")
CHECK_DUPLICATES = True
SPLIT_SIZES = {"train": 3678, "test": 3668}  # of 3680 and 3669, without EXCLUDED

ADDRESS = "https://www.robots.ox.ac.uk/~vgg/data/pets/data/"
ARCHIVES = {  # name: MD5, and size in bytes if known
    "annotations.tar.gz": ("95a8c909bbe2e81eed6a22bccdf3f68f", None),
    "images.tar.gz": ("5c4f3ee8e5d25df40f4fd59a7f44e54c", 791_918_971),
}
EXCLUDED = frozenset(
    (
        # PNG images with an alpha channel, named .jpg; these three are in the lists
        "Abyssinian_5", "Egyptian_Mau_14", "Egyptian_Mau_186",
        # JPEG without color; in no list
        "Egyptian_Mau_129", "staffordshire_bull_terrier_2", "staffordshire_bull_terrier_22",
        # GIF images, named .jpg; in no list
        "Abyssinian_34", "Egyptian_Mau_139", "Egyptian_Mau_145", "Egyptian_Mau_167", "Egyptian_Mau_177",
        "Egyptian_Mau_191",
    )
)  # fmt: skip
IMAGES, ANNOTATIONS, TRIMAPS = "images", "annotations", "trimaps"
LISTS = {"trainval.txt": "train", "test.txt": "test"}
REQUIRED = {split: f"{ANNOTATIONS}/{name}" for name, split in LISTS.items()}
SPECIES = {1: "cat", 2: "dog"}


def download(folder: Path) -> None:
    """Download both archives (0.8 GB), check their MD5 and unpack them.

    Args:
        folder: folder to unpack into; the archives themselves are deleted.

    Raises:
        UserError: if an archive cannot be downloaded or unpacked.
    """
    for name, (md5, size) in ARCHIVES.items():
        archives.download(ADDRESS + name, folder, md5=md5, size=size)


def read(folder: Path) -> Iterator[Sample]:
    """Read the photos by name and number.

    Args:
        folder: folder with `images` and `annotations`, or the parent of that folder.

    Yields:
        A sample per photo: id and group `Abyssinian_1`, image (h, w, 3) uint8 or (h, w) if gray, mask (h, w) uint8 with
        1 cat, 2 dog, 255 border.

    Raises:
        UserError: at the call, if photos and trimaps do not pair by name, or a list is invalid.
    """
    return (
        file_sample(image.stem, split, image.stem, image, trimap, partial(read_mask, labels={1: species, 2: 0, 3: 255}))
        for split, image, trimap in _list_pairs(folder)
        for species in (_species_of(image.stem),)
    )


def _list_pairs(folder: Path) -> list[tuple[str | None, Path, Path]]:
    """List (split, photo, trimap) in order. Raise UserError if a file has no partner, or a list is invalid."""
    images, trimaps = _find_part(folder, IMAGES), _find_part(folder, ANNOTATIONS) / TRIMAPS
    splits = _read_lists(trimaps.parent)
    photo_names, trimap_names = _list_names(images, ".jpg"), _list_names(trimaps, ".png")
    names = (photo_names | trimap_names) - EXCLUDED
    names &= {name for name, split in splits.items() if split} or splits.keys() or names
    files = (lambda name: images / f"{name}.jpg"), (lambda name: trimaps / f"{name}.png")
    check_pairs(names & photo_names, names & trimap_names, *files)
    if not names:
        raise UserError(f"{images}: no photo that the lists in {trimaps.parent} name; unpack both archives again")
    return [(splits.get(name), files[0](name), files[1](name)) for name in sorted(names, key=natural)]


def _find_part(folder: Path, part: str) -> Path:
    """Return the folder `images` or `annotations`, in the given folder or one level below, nested or not."""
    for root in with_subfolders(folder, "set datasets.pets.raw to where the archives were unpacked"):
        if (root / IMAGES).is_dir() and (root / ANNOTATIONS).is_dir():
            return next(home for home in (root / part / part, root / part) if home.is_dir())
    raise UserError(f"{folder}: no `{IMAGES}` and `{ANNOTATIONS}` in it; unpack both archives of Oxford-IIIT Pet there")


def _list_names(folder: Path, suffix: str) -> set[str]:
    names = {Path(name).stem for name in listed(folder, suffix, "unpack the archive annotations.tar.gz again")}
    for name in names:
        if not re.fullmatch(r"[A-Za-z][A-Za-z_]*_[0-9]+", name):
            example = f"should be like Abyssinian_1{suffix}; rename the file"
            raise UserError(f"{folder}: the name {name + suffix!r} {example}")
    return names


def _read_lists(annotations: Path) -> dict[str, str | None]:
    """Read the split of each listed name, None where list.txt alone has it. Raise UserError for contradictions."""
    splits: dict[str, str | None] = {}
    existing = [name for name in LISTS if (annotations / name).is_file()]
    if len(existing) == 1:
        missing = annotations / next(name for name in LISTS if name not in existing)
        raise UserError(f"{missing}: not found beside {existing[0]}; restore it, or delete both for a random split")
    for file in ["list.txt", *existing]:
        for where, name, number in _read_lines(annotations / file) if (annotations / file).is_file() else ():
            if number != _species_of(name):
                stated, expected = SPECIES.get(number, "neither cat nor dog"), SPECIES[_species_of(name)]
                reason = f"{name} has species {number} ({stated}), but the name of a {expected}"
                raise UserError(f"{where}: {reason}; restore the official list")
            if splits.get(name) not in (None, split := LISTS.get(file)):
                raise UserError(f"{where}: {name} is in trainval.txt as well; restore the official lists")
            splits[name] = split
    return splits


def _read_lines(path: Path) -> Iterator[tuple[str, str, int]]:
    """Yield (file and line number, name, species) of each line. Raise UserError at the first invalid line."""
    for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        where = f"{path}: line {number}"
        if len(fields) != 4 or not all(re.fullmatch("[0-9]{1,3}", field) for field in fields[1:]):
            raise UserError(f"{where}: a line should be like `Abyssinian_1 1 1 1`; restore the official list")
        yield where, fields[0], int(fields[2])


def _species_of(name: str) -> int:
    """Return the species by the first letter of a name: 1 cat if it is a capital, else 2 dog."""
    return 1 if name[0].isupper() else 2
