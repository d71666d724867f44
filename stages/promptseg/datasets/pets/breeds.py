"""Breeds of the sample: official name and ids, and simplified coat and build. Colors are RGB in [0, 1]."""

from dataclasses import dataclass

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Breed:
    """One breed of the official list.

    pattern: `solid`, `tabby`, `spots`, `points` (dark at face, ears, legs and tail), `patches`, `saddle` (dark back).
    base, mark: colors of the coat and of what is drawn on it; chest: of throat, chest and muzzle.
    fluff: length of the hair, in tenths of the head's radius; ears: `up`, `small`, `drop` or `fold`; bat: how large.
    snout: length of the muzzle in head radii; legs: length; stout: width of the body; all 1 for the ordinary.
    """

    name: str
    number: int  # of the class, 1 to 37
    species: int  # 1 cat, 2 dog
    rank: int  # within the species
    pattern: str
    base: Color
    mark: Color
    chest: Color
    eyes: Color = (0.16, 0.09, 0.05)
    fluff: float = 0.5
    ears: str = "up"
    bat: float = 1.0
    snout: float = 1.0
    legs: float = 1.0
    stout: float = 1.0


_BROWN, _BLACK, _WHITE = (0.33, 0.2, 0.11), (0.07, 0.065, 0.065), (0.9, 0.88, 0.84)
_AMBER, _GREEN, _BLUE = (0.85, 0.55, 0.1), (0.55, 0.7, 0.25), (0.35, 0.6, 0.9)

BREEDS = (
    Breed("Abyssinian", 1, 1, 1, "solid", (0.63, 0.41, 0.23), _BROWN, (0.78, 0.6, 0.42), _AMBER, bat=1.2),
    Breed("Bengal", 6, 1, 2, "spots", (0.74, 0.54, 0.31), (0.18, 0.1, 0.06), (0.85, 0.76, 0.63), _GREEN, fluff=0.4),
    Breed("Birman", 7, 1, 3, "points", (0.83, 0.76, 0.66), (0.3, 0.21, 0.16), (0.88, 0.83, 0.76), _BLUE, fluff=1.4),
    Breed("Bombay", 8, 1, 4, "solid", _BLACK, _BLACK, (0.09, 0.08, 0.08), _AMBER, fluff=0.4),
    Breed("British_Shorthair", 10, 1, 5, "solid", (0.42, 0.44, 0.49), (0.35, 0.37, 0.42), (0.5, 0.52, 0.56), _AMBER,
          fluff=0.7, bat=0.8, stout=1.15),
    Breed("Maine_Coon", 21, 1, 7, "tabby", (0.56, 0.44, 0.32), (0.15, 0.11, 0.08), (0.8, 0.74, 0.66), _GREEN,
          fluff=1.8, bat=1.15, stout=1.1),
    Breed("Persian", 24, 1, 8, "solid", (0.88, 0.85, 0.79), (0.78, 0.73, 0.66), _WHITE, _AMBER,
          fluff=2.0, bat=0.6, stout=1.2, legs=0.8),
    Breed("Ragdoll", 27, 1, 9, "patches", (0.62, 0.53, 0.46), _WHITE, _WHITE, _BLUE, fluff=1.5),
    Breed("Siamese", 33, 1, 11, "points", (0.86, 0.79, 0.68), (0.2, 0.14, 0.11), (0.86, 0.8, 0.7), _BLUE,
          fluff=0.35, bat=1.3, stout=0.88),
    Breed("Sphynx", 34, 1, 12, "solid", (0.8, 0.63, 0.55), (0.7, 0.52, 0.46), (0.84, 0.68, 0.6), _GREEN,
          fluff=0.0, bat=1.5, stout=0.9),
    Breed("beagle", 5, 2, 4, "patches", (0.56, 0.36, 0.19), _WHITE, _WHITE, ears="drop", bat=1.1),
    Breed("boxer", 9, 2, 5, "solid", (0.68, 0.44, 0.24), (0.1, 0.08, 0.07), _WHITE, ears="drop", bat=0.75,
          snout=0.8, legs=1.15, fluff=0.3),
    Breed("english_cocker_spaniel", 13, 2, 7, "solid", (0.55, 0.29, 0.12), _BROWN, (0.6, 0.36, 0.18),
          fluff=1.3, ears="drop", bat=1.5),
    Breed("great_pyrenees", 16, 2, 10, "solid", (0.9, 0.87, 0.8), (0.8, 0.74, 0.64), _WHITE, fluff=1.7, ears="drop",
          bat=0.85, stout=1.15),
    Breed("japanese_chin", 18, 2, 12, "patches", _BLACK, _WHITE, _WHITE, fluff=1.5, ears="drop", snout=0.5, legs=0.8),
    Breed("miniature_pinscher", 22, 2, 15, "saddle", (0.46, 0.27, 0.15), _BLACK, (0.5, 0.31, 0.18), fluff=0.3,
          stout=0.85, legs=1.1),
    Breed("pug", 26, 2, 18, "points", (0.79, 0.65, 0.47), (0.1, 0.08, 0.07), (0.8, 0.68, 0.5), fluff=0.3,
          ears="fold", snout=0.55, stout=1.15, legs=0.8),
    Breed("saint_bernard", 29, 2, 20, "patches", (0.55, 0.27, 0.12), _WHITE, _WHITE, fluff=1.0, ears="drop",
          stout=1.15),
    Breed("samoyed", 30, 2, 21, "solid", (0.92, 0.9, 0.86), (0.84, 0.8, 0.74), _WHITE, fluff=1.9, ears="small"),
    Breed("scottish_terrier", 31, 2, 22, "solid", (0.1, 0.095, 0.095), _BLACK, (0.13, 0.12, 0.12), fluff=1.2,
          snout=1.3, legs=0.6),
    Breed("shiba_inu", 32, 2, 23, "solid", (0.74, 0.46, 0.22), _BROWN, _WHITE, fluff=0.9, ears="small"),
    Breed("yorkshire_terrier", 37, 2, 25, "saddle", (0.7, 0.47, 0.25), (0.3, 0.3, 0.33), (0.74, 0.54, 0.33), fluff=1.3,
          ears="small", legs=0.75),
)  # fmt: skip
