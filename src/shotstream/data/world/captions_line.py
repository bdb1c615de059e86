"""A *line*: the phrases of one shot, ready to be put into any form of caption.

It knows its subjects ("the fox", "the fox and the owl", "it"), their verbs, and the setting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from shotstream.data.world.captions_setting import light_tags
from shotstream.data.world.english import joined, phrase, series
from shotstream.data.world.phrases import TOGETHER, Pronoun, Verb
from shotstream.data.world.phrases_camera import View
from shotstream.data.world.scene import Agenda, Scene
from shotstream.data.world.told import Aspect


@dataclass(slots=True)
class Line:
    """The parts of one caption. ``subjects`` are noun phrases, one per verb of ``verbs``."""

    scene: Scene
    agenda: Agenda
    subjects: list[str]
    verbs: list[Verb | None]
    plural: bool  # one verb for two characters
    pronoun: Pronoun
    introduction: str
    facts: set[tuple[int, Aspect]]
    where: str = ""  # "in the forest at night"
    lead: str = ""  # "back in the forest at night", when a clause should open with it
    remark: str = ""  # "night has fallen", a sentence of its own
    remark_first: bool = True
    bare: list[str] = field(default_factory=list)

    def view(self, table: Mapping[View, Sequence[str]]) -> list[str]:
        """The entries of a camera table for this shot, pans with their side."""
        shot = self.scene.shot
        key: View = f"zoom {shot.zoom}" if shot.framing == "zoom" else shot.framing  # type: ignore[assignment]
        return [entry.format(side=shot.pan) for entry in table[key]]

    def finite(self, rng: Random) -> str:
        """As in "in the forest, the fox walks to the left"."""
        clauses = self._clauses(rng, self.subjects)
        body = joined(clauses, rng.choice(TOGETHER))
        return f"{self.lead}, {body}" if self.lead else phrase(body, self.where)

    def follow_up(self, rng: Random) -> str:
        """The sentence after the cast was introduced: "it walks to the left" """
        subjects = [self.pronoun.subject] if len(self.subjects) == 1 else self.subjects
        clauses = self._clauses(rng, subjects)
        return phrase(joined(clauses, rng.choice(TOGETHER)), self.where)

    def participle(self) -> str:
        """As in "the fox walking to the left in the forest"."""
        return phrase(series(self._phrases(2)), self.where)

    def infinitive(self) -> str:
        """As in "the fox walk to the left in the forest"."""
        return phrase(series(self._phrases(1)), self.where)

    def tags(self, rng: Random) -> list[str]:
        """["fox walking left", "forest", "night"]"""
        verbs = [verb[2] if verb else "" for verb in self.verbs]
        names = [phrase(who, verb) for who, verb in zip(self.bare, verbs, strict=True)]
        place = [self.scene.voice.sites[self.scene.shot.place].noun] if self.agenda.place else []
        lights = light_tags(rng, self.agenda.time, self.agenda.weather)
        return [series(names), *place, *lights]

    def _clauses(self, rng: Random, subjects: list[str]) -> list[str]:
        """Subjects with their verbs: "the fox walks", now and then "the fox is walking"."""
        clauses = []
        for who, verb in zip(subjects, self.verbs, strict=True):
            if verb is None:
                raise ValueError("a finite clause needs a verb: forms that tell no action have none")
            base, be = (verb[1], "are") if self.plural else (verb[0], "is")
            progressive = rng.random() < 0.12 or base.startswith("be ")
            clauses.append(f"{who} {be} {verb[2]}" if progressive else f"{who} {base}")
        return clauses

    def _phrases(self, form: int) -> list[str]:
        """Subjects, as objects of what comes before them, each with one form of its verb."""
        subjects = self.subjects
        if subjects == [self.pronoun.subject]:
            subjects = [self.pronoun.object]
        return [phrase(who, verb[form] if verb else "") for who, verb in zip(subjects, self.verbs, strict=True)]
