"""What single datasets need beside their file, a folder each: how their samples are drawn, and formats of their own.

numpy and cv2 only. `common` holds what several draw with.
"""
