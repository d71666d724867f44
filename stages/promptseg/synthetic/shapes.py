"""The sample's classes.

`FIGURES[name](rng)` gives the parts of one object; `TURNS[name]` how far it may be turned either way, in radians.
"""

import numpy as np

from promptseg.synthetic import household, outdoors

_HOUSEHOLD = ("banana", "bucket", "coffee_mug", "guitar", "key", "ladder", "pencil", "umbrella", "wooden_spoon")
_OUTDOORS = ("fish", "hot_air_balloon", "maple_leaf", "mushroom", "sailing_boat", "starfish", "traffic_cone")
_TILTED = {"ladder": 0.4, "mushroom": 0.3, "umbrella": 0.5, "fish": 0.5}  # what stands or swims, but not straight
_UPRIGHT = dict.fromkeys(("bucket", "coffee_mug", "hot_air_balloon", "sailing_boat", "traffic_cone"), 0.15) | _TILTED

FIGURES = {name: getattr(household, name) for name in _HOUSEHOLD} | {
    name: getattr(outdoors, name) for name in _OUTDOORS
}
TURNS = {name: _UPRIGHT.get(name, np.pi) for name in FIGURES}
