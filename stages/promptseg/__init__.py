"""promptseg: how good is a promptable segmentation model on your pictures, and is fine-tuning worth it?"""
