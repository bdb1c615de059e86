"""Make a film, edit it and export it: python examples/direct.py [MODEL]. Writes into the current folder."""

import sys

import shotstream

director = shotstream.load(*sys.argv[1:2])
film = director.open(global_caption="A red fox with a blue hat lives in a snowy forest at night.", seed=7)
film.shot("Wide shot. The fox walks to the left through the forest.", seconds=1.3)
film.shot("A close-up of the fox looking to the right.", seconds=1.3)
film.shot("Medium shot. The fox waves hello.", seconds=0.6)
for take, block in film.play():  # every block of every queued shot, as it is made
    print(f"shot {take.shot}, block {block.index}: {len(block.frames)} frames")

film.retake(1, seed=8).wait()  # a second close-up; the first is kept
film.choose(1, 0)  # and was the better one
film.retake(0).wait()  # shots 1 and 2 were conditioned on the old beginning ...
for shot in film.stale:  # ... so they are made again, each with its own noise
    film.remake(shot).wait()

for name in ("fox.film", "fox.mp4", "fox.pdf", "fox.srt", "fox.otio", "fox.edl"):
    print(*film.export(name))
print(*film.export("wave.gif", shot=2))
