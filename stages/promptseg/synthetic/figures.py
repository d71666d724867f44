"""Objects of samples, each a few shapes in the square [-1, 1]: x to the right, y down; what stands, stands on y = 1.

A figure is a text of shapes, from the lowest to the topmost; `kind:tone numbers`, where a kind is one of
    oval x y rx ry          ellipse around (x, y)
    box x y rx ry           rectangle around (x, y)
    poly x y x y ...        polygon
    smooth x y x y ...      polygon with round corners
    line width x y x y ...  stroke
    ring width x y rx ry    stroke along an ellipse
and a tone is a factor of the object's color, or one of TONES; left out, it is 1. `^` before a kind paints the shape and
its mirror image.
"""

import functools

import cv2
import numpy as np
from numpy.typing import ArrayLike

from promptseg.synthetic.canvas import Canvas, plain
from promptseg.synthetic.outlines import Outline, rotation

TONES = {
    "black": (0.07, 0.07, 0.08), "white": (0.92, 0.91, 0.88), "glass": (0.35, 0.45, 0.52), "skin": (0.78, 0.58, 0.45),
    "wood": (0.45, 0.3, 0.18), "metal": (0.68, 0.69, 0.71), "red": (0.75, 0.12, 0.1), "yellow": (0.9, 0.75, 0.2),
    "green": (0.2, 0.42, 0.14), "orange": (0.9, 0.5, 0.12), "blue": (0.15, 0.3, 0.65),
}  # fmt: skip
FIGURES = {
    # vehicles
    "aeroplane": "poly:.8 -.1 -.05 .25 -.6 .4 -.6 .25 0; oval 0 0 .95 .17; poly -.95 -.02 -.9 -.5 -.7 -.5 -.5 -.1; "
    "poly:.7 -.15 .05 .2 .7 .38 .7 .3 .05; box:glass .05 -.05 .55 .03; oval:glass .8 -.05 .1 .06",
    "bicycle": "ring:black .09 -.55 .45 .4 .42; ring:black .09 .55 .45 .4 .42; line .09 -.55 .45 -.2 -.2 .38 -.2 0 .45 "
    "-.55 .45; line .09 -.28 -.4 0 .45; line .09 .55 .45 .33 -.45; line:black .08 .2 -.48 .45 -.48; box:black -.3 -.42 "
    ".16 .05",
    "boat": "poly -.95 .4 .95 .4 .65 .9 -.65 .9; box:white -.1 .15 .4 .26; ^box:glass .15 .12 .08 .09; line:wood .05 "
    ".1 -.1 .1 -.9; box:.7 0 .5 .78 .06",
    "bus": "box 0 .05 .95 .7; box:glass -.1 -.25 .75 .22; ^box:1.2 .25 -.25 .02 .24; box:glass .84 -.2 .1 .3; "
    "oval:black -.55 .75 .18 .22; oval:black .55 .75 .18 .22; box:.7 0 .35 .93 .06",
    "car": "smooth -.98 .15 -.6 .05 -.4 -.4 .35 -.4 .62 .05 .98 .2 .98 .65 -.98 .65; poly:glass -.5 .05 -.35 -.3 -.03 "
    "-.3 -.03 .05; poly:glass .04 .05 .04 -.3 .3 -.3 .5 .05; oval:black -.55 .65 .2 .24; oval:black .55 .65 .2 .24; "
    "^oval:metal .55 .65 .09 .1",
    "car_rear": "^box:black .66 .8 .17 .2; smooth -.95 .1 -.85 -.1 -.62 -.72 .62 -.72 .85 -.1 .95 .1 .9 .82 -.9 .82; "
    "smooth:glass -.62 -.1 -.5 -.6 .5 -.6 .62 -.1; ^box:red .76 .1 .13 .1; box:white 0 .3 .26 .08; box:.5 0 .68 .88 "
    ".09",
    "motorbike": "ring:black .16 -.6 .5 .34 .36; ring:black .16 .6 .5 .34 .36; smooth -.7 .05 .1 -.2 .4 -.25 .4 .2 .1 "
    ".5 -.3 .5; box:black -.3 -.05 .35 .1; oval:metal .05 .45 .22 .2; line:metal .08 .6 .5 .35 -.5 .15 -.55; "
    "oval:yellow .45 -.25 .1 .12",
    "train": "smooth -.98 -.5 .7 -.5 1 .2 1 .75 -.98 .75; box:glass -.3 -.2 .62 .17; ^box:1.1 .3 -.2 .03 .2; "
    "poly:glass .5 -.35 .7 -.35 .88 .05 .5 .05; box:.6 0 .4 .97 .07; ^oval:black .6 .8 .16 .16; oval:black 0 .8 .16 "
    ".16",
    "truck": "box:1.1 -.3 -.1 .65 .65; smooth .35 -.35 .75 -.35 .95 .1 .98 .65 .35 .65; poly:glass .5 -.22 .7 -.22 .85 "
    ".1 .5 .1; ^oval:black .6 .7 .2 .26; oval:black -.25 .7 .2 .26",
    # animals
    "bird": "poly:.7 -.5 0 -1 .25 -.95 -.1; smooth -.7 .1 -.3 -.35 .25 -.4 .5 .05 .1 .45 -.3 .4; oval .5 -.4 .24 .22; "
    "poly:orange .68 -.45 1 -.36 .68 -.3; smooth:.65 -.6 .05 -.1 -.2 .2 0 -.1 .25; oval:black .57 -.45 .05 .05; "
    "^line:orange .06 .08 .4 .1 .9",
    "cat": "line .16 -.5 .7 -.85 .4 -.8 0; smooth -.55 1 -.5 .1 0 -.2 .45 .1 .5 1; oval:.85 -.15 .8 .12 .22; oval:.85 "
    ".2 .8 .12 .22; ^poly .12 -.55 .4 -1 .48 -.4; oval 0 -.42 .46 .38; ^oval:yellow .18 -.45 .1 .08; ^oval:black .18 "
    "-.45 .04 .08; poly:skin -.07 -.3 .07 -.3 0 -.22; ^line:white .03 .1 -.25 .5 -.3",
    "lying_cat": "line .16 .75 .8 .98 .5 .8 .15; smooth -.6 1 -.75 .45 -.2 .1 .55 .12 1 .5 .95 1; oval:.8 .5 .75 .36 "
    ".24; oval:.9 -.7 .9 .24 .1; oval:.85 .55 .92 .26 .09; poly -.92 .05 -.94 -.42 -.62 -.15; poly -.3 .05 -.26 -.42 "
    "-.58 -.15; oval -.6 .12 .38 .32; oval:yellow -.74 .08 .08 .06; oval:yellow -.46 .08 .08 .06; oval:black -.74 .08 "
    ".03 .06; oval:black -.46 .08 .03 .06; poly:skin -.66 .2 -.54 .2 -.6 .27; line:white .025 -.98 .3 -.6 .24 -.22 .3",
    "cow": "line:.8 .1 -.75 -.2 -.9 .3; box:.8 -.5 .65 .09 .35; box:.8 .4 .65 .09 .35; smooth -.8 -.35 .6 -.4 .62 .35 "
    "-.75 .35; box -.35 .65 .09 .35; box .55 .65 .09 .35; oval:white -.3 -.05 .25 .25; oval:white .25 .1 .18 .2; "
    "smooth .5 -.5 .75 -.6 1 -.15 .85 0 .5 -.2; line:white .06 .6 -.55 .55 -.8; line:white .06 .72 -.55 .8 -.78; "
    "oval:skin .93 -.08 .1 .09; oval:black .78 -.35 .04 .05",
    "dog": "line .14 -.6 -.1 -.95 -.55; box:.8 -.4 .65 .1 .35; box:.8 .4 .65 .1 .35; smooth -.75 -.25 .55 -.35 .6 .38 "
    "-.65 .4; smooth .1 -.1 .45 -.75 .8 -.35 .6 .3; box -.52 .65 .1 .35; box .5 .65 .1 .35; oval .6 -.5 .3 .28; smooth "
    ".7 -.55 1 -.5 1 -.3 .7 -.3; smooth:.55 .4 -.75 .55 -.7 .5 -.25 .35 -.3; oval:black .98 -.45 .06 .06; oval:black "
    ".68 -.58 .05 .05",
    "sitting_dog": "line .15 .4 .85 .75 .75 .9 .45; smooth -.5 1 -.5 .3 -.25 -.25 .25 -.25 .5 .3 .55 1; ^oval:.8 .4 "
    ".82 .2 .2; ^box:.92 .17 .65 .12 .35; ^oval:.9 .18 .93 .16 .08; oval 0 -.5 .42 .4; ^smooth:.6 .22 -.95 .62 -.9 .62 "
    "-.1 .36 -.3; oval:1.2 0 -.32 .24 .2; oval:black 0 -.42 .11 .08; ^oval:black .17 -.6 .06 .07; smooth:red -.07 -.22 "
    ".07 -.22 .06 0 -.06 0; line:.5 .03 0 -.35 0 -.24",
    "fish": "poly:.7 .4 0 1 -.45 .85 0 1 .45; poly:.75 -.3 -.3 .2 -.75 .3 -.2; oval -.15 0 .75 .42; ^oval:1.3 .1 0 .05 "
    ".3; poly:.7 -.1 .1 .2 .35 .15 0; oval:white -.6 -.1 .1 .1; oval:black -.62 -.1 .05 .05; line:.7 .04 -.4 -.3 -.36 "
    ".3",
    "horse": "line:.6 .12 -.7 -.2 -.95 .5; box:.8 -.45 .6 .07 .4; box:.8 .4 .6 .07 .4; smooth -.75 -.3 .5 -.3 .55 .25 "
    "-.7 .25; box -.55 .6 .07 .4; box .5 .6 .07 .4; smooth .25 -.25 .55 -.9 .75 -.85 .6 .1; smooth .5 -.95 .7 -.95 1 "
    "-.5 .85 -.4 .6 -.6; line:.5 .12 .3 -.3 .55 -.95; oval:black .72 -.78 .04 .05",
    "sheep": "box:black -.4 .7 .08 .3; box:black .35 .7 .08 .3; smooth -.75 -.2 -.4 -.5 .1 -.45 .5 -.35 .6 .2 .2 .5 "
    "-.4 .5; ^oval:1.08 .3 -.2 .22 .2; oval:1.08 0 .1 .25 .2; oval:.4 .72 -.3 .2 .26; line:.35 .1 .5 -.4 .4 -.3; "
    "oval:white .76 -.38 .03 .03",
    "starfish": "poly 0 -1 .2 -.28 .95 -.31 .34 .11 .59 .81 0 .37 -.59 .81 -.34 .11 -.95 -.31 -.2 -.28; oval:1.2 0 0 "
    ".16 .16; line:1.3 .05 0 0 0 -.8; ^line:1.3 .05 0 0 .7 -.22; ^line:1.3 .05 0 0 .45 .6",
    # people, plants and landmarks
    "person": "^box:blue .16 .62 .13 .38; smooth -.3 -.45 .3 -.45 .34 .3 -.34 .3; ^line .16 .3 -.35 .42 .2; ^oval:skin "
    ".43 .25 .08 .08; box:skin 0 -.5 .08 .1; oval:skin 0 -.74 .17 .21; smooth:black -.19 -.7 -.15 -.98 .15 -.98 .19 "
    "-.7 0 -.85; ^box:black .17 .96 .15 .05",
    "pottedplant": "smooth:green -.9 -.6 -.2 -.3 0 .2 -.3 .1; smooth:green .85 -.7 .2 -.3 0 .2 .3 .05; smooth:.8 -.3 "
    "-1 .1 -.9 .12 .2 -.1 .2; ^smooth:green .2 -.1 .7 -.1 .9 .25 .1 .2; poly:orange -.42 .2 .42 .2 .3 1 -.3 1; "
    "box:orange 0 .25 .48 .08",
    "tree": "poly:wood -.1 .1 .1 .1 .14 1 -.14 1; smooth -.75 -.1 -.6 -.6 0 -1 .6 -.65 .75 -.1 .3 .25 -.35 .22; "
    "^oval:1.25 .3 -.5 .25 .2; oval:.75 0 0 .4 .2",
    "bush": "smooth -1 1 -.95 .2 -.6 -.3 -.1 -.1 .3 -.5 .8 -.1 1 1; oval:1.25 -.4 .1 .3 .25; oval:1.2 .4 0 .25 .2; "
    "oval:.75 -.1 .55 .35 .2; oval:.8 .6 .6 .25 .2",
    "building": "box 0 .08 .85 .92; box:.55 0 -.88 .92 .12; ^box:glass .55 -.5 .15 .17; box:glass 0 -.5 .15 .17; "
    "^box:glass .55 -.02 .15 .17; box:glass 0 -.02 .15 .17; ^box:glass .55 .48 .18 .2; box:wood 0 .66 .15 .34",
    "mushroom": "smooth:white -.2 0 .2 0 .28 .95 -.28 .95; smooth -.9 .08 -.75 -.6 0 -.95 .75 -.6 .9 .08; oval:white "
    "-.3 -.4 .1 .08; oval:white .25 -.55 .09 .07; oval:white .5 -.2 .08 .06",
    "maple_leaf": "line:.6 .07 0 .3 .05 .95; poly 0 -.95 .15 -.6 .32 -.7 .26 -.3 .55 -.55 .95 -.35 .8 -.1 .9 0 .5 .22 "
    ".55 .4 0 .38 -.55 .4 -.5 .22 -.9 0 -.8 -.1 -.95 -.35 -.55 -.55 -.26 -.3 -.32 -.7 -.15 -.6; line:1.3 .03 0 .38 0 "
    "-.8; ^line:1.3 .03 0 .38 .7 -.3",
    "hot_air_balloon": "^line:wood .03 .1 .45 .12 .8; smooth -.75 -.35 -.5 -.95 .5 -.95 .75 -.35 .2 .5 -.2 .5; oval:.7 "
    "0 -.3 .25 .72; oval:1.3 0 -.3 .08 .72; box:wood 0 .85 .16 .12",
    "sailing_boat": "line:wood .05 0 -.97 0 .5; smooth:white .05 -.95 .15 -.3 .7 .34 .05 .36; poly:1.2 -.06 -.8 -.06 "
    ".34 -.6 .36; smooth -.88 .45 .9 .45 .62 .88 -.6 .88; line:1.5 .06 -.74 .54 .76 .54",
    "traffic_cone": "poly:.7 -.8 .95 -.6 .7 .6 .7 .8 .95; poly -.5 .75 -.08 -.95 .08 -.95 .5 .75; poly:white -.37 .25 "
    "-.28 -.1 .28 -.1 .37 .25; poly:white -.21 -.4 -.15 -.65 .15 -.65 .21 -.4",
    "lamp_post": "line:metal .04 0 1 0 -.9; line:metal .03 0 -.9 .25 -.97; box:white .25 -.96 .09 .03",
    "traffic_light": "line:metal .1 0 0 0 1; box:black 0 -.5 .22 .5; oval:red 0 -.8 .13 .13; oval:yellow 0 -.5 .13 "
    ".13; oval:green 0 -.2 .13 .13",
    "traffic_sign": "line:metal .08 0 0 0 1; poly -.45 -.1 .45 -.1 0 -.95; poly:white -.27 -.2 .27 -.2 0 -.72; "
    "box:black 0 -.38 .04 .13",
    # furniture and things
    "ball": "oval 0 0 .95 .95; oval:1.4 -.3 -.4 .18 .13",
    "banana": "smooth -.95 -.45 -.75 -.5 -.35 .05 .35 .05 .75 -.5 .95 -.42 .6 .4 0 .62 -.6 .4; line:.7 .05 -.8 -.3 -.3 "
    ".3 .3 .3 .8 -.3; ^oval:black .87 -.46 .09 .08",
    "book": "box:white .1 .07 .6 .88; box 0 0 .62 .88; box:.7 -.53 0 .09 .88; box:1.25 .1 -.4 .36 .2; line:.75 .06 -.2 "
    ".5 .4 .5",
    "bottle": "smooth -.3 1 -.3 -.1 -.1 -.45 -.1 -.9 .1 -.9 .1 -.45 .3 -.1 .3 1; box:white 0 .4 .29 .25; box:red 0 "
    "-.93 .12 .07; line:1.5 .05 -.2 0 -.2 .95",
    "bucket": "ring:metal .06 0 -.5 .8 .45; poly -.82 -.5 .82 -.5 .58 .95 -.58 .95; oval:1.2 0 -.5 .82 .2; oval:.5 0 "
    "-.48 .72 .15; line:.75 .06 -.72 0 .72 0",
    "chair": "^line:.7 .12 .4 .2 .45 1; ^line .12 .5 .25 .6 1; box 0 .2 .6 .1; ^line .12 .5 .2 .5 -.95; box:.85 0 -.7 "
    ".5 .13; box:.85 0 -.3 .5 .1",
    "coffee_mug": "ring .16 .6 .05 .32 .4; poly -.65 -.75 .65 -.75 .55 .8 -.55 .8; oval 0 .8 .55 .13; box:.6 0 0 .6 "
    ".2; oval:1.2 0 -.75 .65 .17; oval:wood 0 -.73 .55 .11",
    "diningtable": "^box:.7 .55 .4 .06 .5; ^box .85 .45 .07 .55; poly -.8 -.4 .8 -.4 1 0 -1 0; box:.8 0 .05 1 .07; "
    "oval:white 0 -.2 .25 .08; ^oval:white .55 -.2 .18 .06",
    "gift": "box 0 0 .85 .85; box:.7 -.2 0 .1 .85; box:.7 0 -.2 .85 .1; ^smooth:1.3 .15 -.2 .1 -.5 .45 -.45 .4 -.1",
    "guitar": "box:.6 0 -.9 .12 .14; box:.5 0 -.3 .07 .6; smooth -.35 0 0 -.08 .35 0 .25 .3 .52 .6 .3 1 -.3 1 -.52 .6 "
    "-.25 .3; oval:black 0 .32 .15 .14; box:.4 0 .72 .2 .05; ^line:white .015 .03 -.9 .03 .7",
    "key": "ring .15 -.65 0 .28 .28; line .14 -.4 0 .95 0; line .14 .6 0 .6 .3; line .14 .85 0 .85 .25; line:1.3 .03 "
    "-.35 -.03 .9 -.03",
    "ladder": "^line .12 .28 -1 .4 1; line:.85 .08 -.28 -.7 .28 -.7; line:.85 .08 -.32 -.35 .32 -.35; line:.85 .08 "
    "-.34 0 .34 0; line:.85 .08 -.36 .35 .36 .35; line:.85 .08 -.38 .7 .38 .7",
    "plate": "oval 0 0 .95 .6; oval:.8 0 0 .7 .43; oval:1.05 0 .01 .66 .4; oval:1.3 -.6 -.25 .1 .05",
    "napkin": "box 0 0 .86 .86; box:.8 0 0 .76 .76; box:1.05 0 0 .72 .72; line:.7 .03 -.86 0 .86 0; line:.7 .03 0 -.86 "
    "0 .86",
    "pencil": "box -.1 0 .8 .13; box:1.25 -.1 -.08 .8 .04; box:skin -.88 0 .09 .13; box:metal -.75 0 .08 .14; "
    "poly:wood .7 -.13 1 0 .7 .13; poly:black .9 -.04 1 0 .9 .04",
    "sofa": "^box:.6 .7 .92 .06 .08; smooth:.85 -.85 -.7 .85 -.7 .85 .4 -.85 .4; box 0 .4 .75 .2; box:.8 0 .7 .8 .17; "
    "^smooth .65 -.1 .98 -.15 .98 .88 .7 .88; line:.6 .04 0 -.6 0 .4",
    "swim_ring": "ring .42 0 0 .72 .72; ring:1.2 .08 0 0 .66 .66; ring:.75 .05 0 0 .9 .9; box:.7 .62 -.4 .09 .07",
    "tire": "ring .4 0 0 .74 .74; ring:1.6 .03 0 0 .9 .9; ring:.5 .05 0 0 .78 .78; ring:1.5 .04 0 0 .6 .6",
    "tvmonitor": "box:.6 0 .8 .45 .08; box:.7 0 .6 .1 .25; box 0 -.15 .95 .68; box:glass 0 -.18 .86 .57; poly:blue "
    "-.86 .35 -.2 -.4 .86 .1 .86 .38 -.86 .38",
    "umbrella": "line:wood .08 0 -.3 0 .85 .12 .95 .22 .85; smooth -.98 0 -.7 -.6 0 -.9 .7 -.6 .98 0 .5 -.12 0 0 -.5 "
    "-.12; poly:.75 -.3 -.06 0 -.85 .3 -.06; line:black .05 0 -.85 0 -1",
    "warning_sign": "smooth 0 -.95 .1 -.85 .95 .68 .9 .8 -.9 .8 -.95 .68 -.1 -.85; poly:1.25 0 -.6 .7 .65 -.7 .65; "
    "poly:black -.09 -.2 .09 -.2 .05 .25 -.05 .25; oval:black 0 .42 .08 .08",
    "wooden_spoon": "smooth:.9 -.08 -.4 .08 -.4 .06 1 -.06 1; oval 0 -.65 .25 .35; oval:.75 .02 -.66 .18 .26",
    # on the ground
    "blade": "smooth:.8 -1 .1 -.3 -.25 .4 -.2 1 .3 .35 -.08 -.3 -.12; smooth:1.15 -1 .1 -.3 -.25 .4 -.2 1 .3 .35 -.15 "
    "-.3 -.19",
    "leaf": "line:.8 .06 0 .6 .08 1; ^smooth -.04 -1.1 .25 -.75 .55 -.2 .5 .35 .2 .65 -.04 .75; line:1.35 .04 0 .7 "
    "0 -.9; ^line:1.2 .025 0 .45 .34 .2; ^line:1.2 .025 0 .2 .38 -.1; ^line:1.2 .025 0 -.1 .3 -.4; ^line:1.2 .025 0 "
    "-.4 .17 -.62",
    "oak_leaf": "line:.8 .06 0 .6 .08 1; ^smooth -.04 -1.05 .3 -1 .15 -.6 .5 -.75 .55 -.4 .2 -.3 .2 -.2 .7 -.25 .65 "
    ".15 .2 .1 .2 .2 .55 .25 .4 .5 .15 .45 -.04 .8; line:1.35 .04 0 .7 0 -.85; ^line:1.2 .03 0 -.2 .4 -.5; "
    "^line:1.2 .03 0 .15 .5 -.07; ^line:1.2 .03 0 .45 .38 .33",
    "toothed_leaf": "line:.8 .06 0 .6 .08 1; ^poly -.02 -1 .15 -.82 .12 -.78 .3 -.58 .26 -.54 .42 -.3 .37 -.26 .5 0 "
    ".44 .03 .5 .28 .42 .3 .4 .52 .3 .5 .25 .66 -.02 .7; line:1.35 .04 0 .7 0 -.9; ^line:1.2 .025 0 .5 .34 .35; "
    "^line:1.2 .025 0 .25 .42 .05; ^line:1.2 .025 0 0 .38 -.25; ^line:1.2 .025 0 -.25 .28 -.5; ^line:1.2 .025 0 -.5 "
    ".15 -.72",
    "scrap": "poly -.7 -.3 0 -.8 .2 0; poly:.75 .2 0 0 -.8 .8 -.2 .6 .5; poly:1.2 .2 0 .6 .5 -.2 .7 -.8 .4; poly:.6 "
    ".2 0 -.8 .4 -.7 -.3",
    "stone": "smooth:.5 -.85 .1 -.5 -.6 .3 -.7 .95 -.1 .65 .65 -.4 .65; smooth -.8 0 -.5 -.65 .25 -.7 .75 -.15 .45 "
    ".4 -.4 .45; smooth:1.25 -.55 -.1 -.35 -.5 .15 -.5 .35 -.2 0 .1",
    "twig": "line .1 -1 0 -.3 .12 .3 .05 1 .2; line .07 -.2 .1 .3 -.3",
}  # fmt: skip


@functools.cache
def parts(name: str) -> tuple[tuple[Outline, str], ...]:
    """Parse a figure: the outline and the tone of each part."""
    return tuple(part for text in FIGURES[name].split(";") for part in _parse(text.split()))


def draw(
    canvas: Canvas, name: str, center: np.ndarray | tuple[float, float], radius: float, color: ArrayLike, label: int,
    turn: float = 0.0, foot: bool = False,
) -> None:  # fmt: skip
    """Paint a figure with random proportions, facing left or right, with a shadow below it.

    Args:
        canvas: to paint on.
        name: one of FIGURES.
        center: x, y in pixels.
        radius: half its size, pixels.
        color: (3,) RGB in [0, 1].
        label: of its pixels.
        turn: radians.
        foot: the figure stands on `center`.
    """
    rng = canvas.rng
    flip, squeeze = (-1, 1)[rng.integers(2)], rng.uniform(0.85, 1.1)
    matrix = rotation(turn) @ np.array([[flip * squeeze, rng.normal(0, 0.05)], [0, rng.uniform(0.92, 1.05)]])
    x, y = center[0], center[1] - radius * foot
    shapes = [(outline.transformed(matrix), tone) for outline, tone in parts(name)]
    points = np.concatenate([loop for outline, _ in shapes for loop in outline.loops]).astype(np.float32)
    shadow = 0.9 * _ellipse(0, 1, 1, 0.25) if foot else cv2.convexHull(points)[:, 0] + 0.08
    canvas.shade(Outline((shadow,)), radius, (x, y), 0.12 * radius, 0.4)
    for outline, tone in shapes:
        part = np.asarray(TONES[tone]) if tone in TONES else np.clip(np.asarray(color) * float(tone), 0, 1)
        surface = plain(rng, part * rng.uniform(0.9, 1.1), 0.5)
        canvas.paint(outline, radius, (x, y), surface, label, 0.7)


def _parse(words: list[str]) -> list[tuple[Outline, str]]:
    kind, _, tone = words[0].partition(":")
    values = [float(word) for word in words[1:]]
    width = values.pop(0) if kind.lstrip("^") in ("line", "ring") else None
    if kind.lstrip("^") in ("oval", "ring"):
        loop = _ellipse(*values)
    elif kind.lstrip("^") == "box":
        loop = np.array(values[:2]) + np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * values[2:]
    else:
        loop = np.array(values).reshape(-1, 2)
        loop = _rounded(loop) if kind.lstrip("^") == "smooth" else loop
    outline = Outline((loop,), width)
    mirrored = [outline.transformed(np.diag([-1.0, 1.0]))] if kind.startswith("^") else []
    return [(each, tone or "1") for each in [*mirrored, outline]]


def _ellipse(x: float, y: float, rx: float, ry: float) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 37)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)


def _rounded(corners: np.ndarray) -> np.ndarray:
    """Cut the corners of a closed polygon three times (Chaikin 1974)."""
    for _ in range(3):
        after = np.roll(corners, -1, axis=0)
        corners = np.stack([0.75 * corners + 0.25 * after, 0.25 * corners + 0.75 * after], 1).reshape(-1, 2)
    return corners
