"""Synthetic images for pretraining, rendered from a seed, with the masks of all objects and phrases about them.

The images are abstract: shapes, blobs and strands of many sizes on patterned backgrounds, with composite objects,
occlusion, shading, blur and noise, in gray or in color. Nothing in them stands for an object of the real world, so that
a checkpoint which is trained on them and evaluated on the samples of datasets is evaluated zero-shot.
"""
