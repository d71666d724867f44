"""Labels of Cityscapes by id, and the 19 classes among them that its evaluation counts.

Ids and their evaluation are those of cityscapesscripts/helpers/labels.py: a label with trainId 255 is ignored.
"""

VOID = 7  # ids below are no object: unlabeled, ego vehicle, rectification border, out of roi, static, dynamic, ground
NAMES = (  # of the ids from VOID on
    "road", "sidewalk", "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel", "pole",
    "polegroup", "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck",
    "bus", "caravan", "trailer", "train", "motorcycle", "bicycle",
)  # fmt: skip
UNCOUNTED = frozenset(
    ("parking", "rail track", "guard rail", "bridge", "tunnel", "polegroup", "caravan", "trailer")
)  # fmt: skip
CLASSES = tuple(name for name in NAMES if name not in UNCOUNTED)
LABELS = {id: 255 for id in range(VOID)} | {  # {id: number of the class, or 255}
    id: CLASSES.index(name) + 1 if name in CLASSES else 255 for id, name in enumerate(NAMES, VOID)
}
