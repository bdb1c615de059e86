"""Metadata of a film: its script, seed and model, and that a generative model made it.

The mark stands twice, for two kinds of reader: as key ``synthetic`` in the MP4's metadata, and as
IPTC's *digital source type* in an XMP packet (the form that platforms and photo tools look for).
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from uuid import UUID
from xml.sax.saxutils import escape

from shotstream.core.config import Config
from shotstream.core.story import Story

# IPTC NewsCodes, digitalsourcetype: "created algorithmically from a trained model".
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
XMP_BOX = UUID("be7acfcb-97a9-42e8-9c71-999491e3afac")  # Adobe's XMP specification, part 3


class FilmTags(Config):
    """The origin of a film, as it travels inside the file. ``made_fps``: the rate it was made at, where another was
    reached by showing frames for longer or leaving some out."""

    title: str
    story: Story
    seed: int
    model: str
    model_version: str
    made_fps: int | None = None

    def as_metadata(self) -> dict[str, str]:
        """MP4 metadata keys and values; :func:`tags_of` reads them back."""
        retimed = f" Made at {self.made_fps} frames/s, retimed without new frames." if self.made_fps else ""
        return {
            "title": self.title,
            "description": self.story.global_caption,
            "comment": f"Made by a generative model: {self.model} {self.model_version}, seed {self.seed}.{retimed}",
            "synthetic": json.dumps({"synthetic": True, "digitalSourceType": SOURCE_TYPE}),
            "shotstream": self.model_dump_json(exclude=None if self.made_fps else {"made_fps"}),
        }


def tags_of(metadata: dict[str, str]) -> FilmTags | None:
    """The tags a film of ours carries; None for a film from elsewhere."""
    written = metadata.get("shotstream")
    return None if written is None else FilmTags.model_validate_json(written)


def xmp_packet(tags: FilmTags) -> bytes:
    """The IPTC mark as an XMP packet, for any file that can carry one."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/">'
        f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>"
        f"<xmp:CreatorTool>{escape(f'shotstream {tags.model} {tags.model_version}')}</xmp:CreatorTool>"
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
        '<?xpacket end="r"?>'
    ).encode()


def append_mark(path: Path, tags: FilmTags) -> None:
    """Append an XMP packet that carries the IPTC mark to the MP4 ``path``, as a box of its own."""
    packet = xmp_packet(tags)
    with path.open("ab") as file:
        file.write(struct.pack(">I4s", 24 + len(packet), b"uuid") + XMP_BOX.bytes + packet)
