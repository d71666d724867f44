"""Which promptable segmentation model, prompted how, is good enough on my data, and is fine-tuning worth it?"""
