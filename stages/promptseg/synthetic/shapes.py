"""Registry of the objects.

`FIGURES[name](rng)` samples the parts of one object; `TURNS[name]` is its largest rotation either way, in radians.
"""

import numpy as np

from promptseg.synthetic import household, outdoors

_HOUSEHOLD = ("banana", "bucket", "coffee_mug", "guitar", "key", "ladder", "pencil", "umbrella", "wooden_spoon")
_OUTDOORS = ("fish", "hot_air_balloon", "maple_leaf", "mushroom", "sailing_boat", "starfish", "traffic_cone")
_TILTED = {
    "ladder": 0.4,
    "mushroom": 0.3,
    "umbrella": 0.5,
    "fish": 0.5,
}  # radians, for objects that are not always upright
_UPRIGHT = dict.fromkeys(("bucket", "coffee_mug", "hot_air_balloon", "sailing_boat", "traffic_cone"), 0.15) | _TILTED

FIGURES = {name: getattr(household, name) for name in _HOUSEHOLD} | {
    name: getattr(outdoors, name) for name in _OUTDOORS
}
TURNS = {name: _UPRIGHT.get(name, np.pi) for name in FIGURES}
