"""A world to learn from: pictures drawn from a seed, with the masks and the phrases of all that is in them.

It is abstract: shapes, blobs and strands of many sizes on patterned grounds, with parts, occlusion, light, blur and
noise, gray or in color. Nothing in it stands for a thing of the real world. It shares no code with the datasets'
samples and draws none of their domains, so that what learns from it and is then asked about them is asked zero-shot.
"""
