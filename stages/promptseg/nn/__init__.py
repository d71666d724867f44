"""What models share: the Segmenter contract, image transform, CLIP, adapters, weights."""
