"""Synthetic images for pretraining, rendered from a seed, with the masks of all objects and phrases about them.

The images are abstract: shapes, blobs and strands of many sizes on patterned backgrounds, with composite objects,
occlusion, shading, blur and noise, in gray or in color. Nothing in them stands for an object of the real world. They
share no code with the samples of the datasets and render none of their domains, so that a checkpoint which is trained
on them and evaluated on the samples is evaluated zero-shot.
"""
