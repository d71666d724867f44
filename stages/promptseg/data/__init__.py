"""Splits as Parquet shards, images and TIFF stacks, masks, tiles and point clouds.

What is made of a file is decided here, in one table: of an image (`image_io.read_image`, `tiff_stack` for TIFF), of a
mask that a dataset released (`image_io.read_mask`), and of a user's own mask, of which more kinds are read
(`label_images`). A file is what its content says, whatever its suffix.

| file                        | image                  | mask                 | mask of a user's own                 |
|-----------------------------|------------------------|----------------------|--------------------------------------|
| 8-bit gray                  | unchanged              | unchanged            | unchanged                            |
| 1-bit                       | 0 and 255              | 0 and 255            | bool                                 |
| 8-bit RGB                   | unchanged              | if gray              | gray, or colors                      |
| palette                     | its colors             | its indices          | its indices, colors beside them      |
| LA, RGBA, transparent color | if opaque              | if opaque            | if opaque                            |
| gray of more than 8 bits    | scaled by a window     | refused              | unchanged; bool if 0 and 65535 alone |
| negative                    | scaled by a window     | refused              | refused                              |
| color of more than 8 bits   | refused                | refused              | refused                              |
| float                       | by a window, if finite | refused              | if whole numbers                     |
| CMYK and other              | refused                | refused              | refused                              |
| TIFF with 0 as white        | inverted               | inverted             | as stored, as ImageJ means it        |
| EXIF orientation            | applied                | applied              | applied                              |
| preview behind a photo      | left out               | refused              | refused                              |
| more than one page          | refused but in a stack | refused              | refused                              |
| JPEG, WebP, JPEG in a TIFF  | accepted               | refused: it is lossy | refused: it is lossy                 |
| over MAX_PIXELS             | refused undecoded      | refused undecoded    | refused undecoded                    |
| truncated, or no image      | refused                | refused              | refused                              |
"""
