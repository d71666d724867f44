"""Annotation files: a module for each format, and what an index of a folder's annotations is made of.

A format is a module of this package that defines
    NAME                str, for messages
    SUFFIXES            tuple of str, of its files' names, lower case with the dot
    matches(path)       whether a file is of the format: by its content, of which a bounded head is read
    read(path)          yield the `Annotated` of each image; raise UserError, one line, for a damaged file
and, where they apply,
    classes(path)       the names of the classes in the file's own order; None where it has none after all
    INSTEAD             str, what to export in its place, for a format that is recognized so that `read` can refuse it
To add a format, add a module; no other file changes.
"""

from promptseg.annotations.lookup import Annotations as Annotations
from promptseg.annotations.lookup import Found as Found
from promptseg.annotations.lookup import index as index
from promptseg.annotations.registry import formats as formats
from promptseg.annotations.registry import recognize as recognize
