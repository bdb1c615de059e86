"""The same with a studio that runs already (shotstream studio): python examples/direct_a_studio.py [URL]."""

import sys

from shotstream.serving.client import StudioClient

with StudioClient(*sys.argv[1:2]) as studio:
    print(studio.ready().name)
    film = studio.begin("A red fox with a blue hat lives in a snowy forest at night.", seed=7)
    film.shoot("Wide shot. The fox walks to the left through the forest.", seconds=1.3)
    film.shoot("Medium shot. The fox waves hello.", seconds=0.6)
    first = film.wait().shots[1].chosen
    film.retake(1, seed=8)
    film.wait()
    film.choose(1, first)
    for name in ("fox.film", "fox.mp4", "fox.pdf", "fox.srt"):
        print(film.fetch(name))
    print(film.fetch("wave.gif", shot=1), film.fetch("fox_cut.zip", "otio"))
