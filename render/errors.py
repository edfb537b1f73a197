"""What can go wrong between a ticket and its sheets.

* RenderError          one item or sheet fails; the text names the file and says what to do; the rest goes on
  + PictureMissing     no file where the record says there is one
  + PictureUnreadable  a file, but not a picture that can be printed
  + PictureChanged     not the file any more that the ticket was planned with
  + PictureUnsettled   a file that is still being copied: look again later
  + SheetImpossible    the picture is fine; size, crop, bleed or a template is not
"""

from __future__ import annotations


class RenderError(Exception):
    """One item cannot be rendered."""


class PictureMissing(RenderError):
    """The record names a picture that is not there."""


class PictureUnreadable(RenderError):
    """The file is not a picture that can be printed as it should be."""


class PictureChanged(RenderError):
    """Another file now bears the picture's name."""


class PictureUnsettled(RenderError):
    """The file was written to a moment ago; it is not known to be whole."""


class SheetImpossible(RenderError):
    """What was asked for cannot be laid out or named."""
