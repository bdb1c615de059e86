"""The scenery of one shot as layers with parallax, the camera over them, and the sky.

Still cameras flatten the layers into two pictures once; a moving camera shifts and scales one image
per layer. Layers meet at the horizon: each scales about it, the deeper the less.
Rain and snow are few, large, slow strokes, periodic so that they never run out. There is one pattern of each, which
depends on the time in the shot alone: it falls alike in every shot.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import skia

from shotstream.core.randomness import derive
from shotstream.data.world.motion import SCENERY_MARGIN, Camera
from shotstream.data.world.palette import RGB, Light, lighter, mix
from shotstream.data.world.pen import (
    SMOOTH,
    Drawing,
    Pen,
    Sprite,
    argb,
    draw_part,
    make_sprite,
    mapped,
    oval,
    record,
    union,
)
from shotstream.data.world.scenery.places import bands_of
from shotstream.data.world.scenery.scene import Band, Scene
from shotstream.data.world.spec import Place

HORIZON = 0.68  # where the ground begins, world units
CLOUD_SPEED = 0.014  # world units per second


def draw_sky(pen: Pen, light: Light, half: float, rng: np.random.Generator) -> None:
    """The whole sky from well above the picture down below the horizon; ``half``: half its width."""
    top, middle, low = light.sky()
    ends = [skia.Point(0, -0.05), skia.Point(0, HORIZON)]
    colours = [argb(top), argb(middle), argb(low)]
    shader = skia.GradientShader.MakeLinear(ends, colours, [0.0, 0.55, 1.0])
    pen.canvas.drawRect(skia.Rect.MakeLTRB(-half, -1.5, half, 2.5), skia.Paint(Shader=shader))
    x = float(rng.choice([-0.52, -0.30, 0.34, 0.54]))
    if light.weather != "clear":
        return
    if light.time == "night":
        _draw_stars(pen, half, rng)
        pen.glow(x, 0.17, 0.30, (170, 190, 240), 0.35)
        pen.fill(oval(x, 0.17, 0.075, 0.075), (250, 246, 220), lit=True)
        for dx, dy, size in ((-0.02, -0.015, 0.016), (0.025, 0.02, 0.02), (-0.015, 0.035, 0.011)):
            pen.fill(oval(x + dx, 0.17 + dy, size, size), (226, 218, 190), lit=True)
        return
    y, disc = (0.17, (255, 246, 196)) if light.time == "day" else (0.50, (255, 236, 170))
    pen.glow(x, y, 0.42, (255, 240, 190), 0.55)
    pen.fill(oval(x, y, 0.08, 0.08), disc, lit=True)


def _draw_stars(pen: Pen, half: float, rng: np.random.Generator) -> None:
    for x in np.arange(-half, half, 0.17):
        size = float(rng.uniform(0.007, 0.013))
        y = float(rng.uniform(0.02, 0.40))
        pen.fill(oval(float(x) + float(rng.uniform(-0.05, 0.05)), y, size, size), (244, 242, 222), 0.9, lit=True)


def cloud_colours(light: Light) -> tuple[RGB, RGB]:
    """Lit and shaded colour of a cloud (already in the light)."""
    top, _, low = light.sky()
    table: dict[str, RGB] = {"day": (255, 255, 255), "sunset": (255, 206, 190), "night": (96, 112, 168)}
    bright = table[light.time]
    if light.weather == "rain":
        bright = mix(mix(bright, top, 0.62), (90, 96, 116), 0.25)
    return bright, mix(bright, mix(top, low, 0.5), 0.38)


def draw_cloud(pen: Pen, light: Light, size: float, rng: np.random.Generator) -> None:
    """One cloud about ``size`` wide around the origin."""
    bright, shaded = cloud_colours(light)
    puffs = oval(0, 0, 0.5 * size, 0.12 * size)
    for x, y, radius in ((-0.24, -0.06, 0.15), (0.0, -0.13, 0.20), (0.24, -0.05, 0.14)):
        grow = float(rng.uniform(0.85, 1.15)) * radius * size
        puffs = union(puffs, oval(x * size, y * size, grow, grow))
    pen.fill(puffs, shaded, 0.95, lit=True)
    lifted = mapped(puffs, skia.Matrix.MakeAll(0.9, 0, -0.015 * size, 0, 0.72, -0.045 * size, 0, 0, 1))
    pen.fill(lifted, lighter(bright, 0.2), 0.95, lit=True)


RAIN_DROPS, SNOW_FLAKES = 20, 16  # per unit of picture width
RAIN_FALL, SNOW_FALL = 0.6, 0.10  # picture heights per second
RAIN_SLANT = 0.16
PATTERN = 4  # the seed of where drops and flakes are


class Precipitation:
    """Rain or snow on a picture of ``width`` x ``height`` pixels."""

    def __init__(self, light: Light, width: int, height: int) -> None:
        self.weather = light.weather
        rng = np.random.default_rng(PATTERN)
        self.height = height
        self.span = (width / height + 0.4, 1.24)  # the pattern repeats after this, in picture heights
        density = {"clear": 0, "rain": RAIN_DROPS, "snow": SNOW_FLAKES}[self.weather]
        count = round(density * width / height)
        # Spread evenly with jitter: never two sheets of rain and a gap.
        self.x = rng.permutation((np.arange(count) + rng.uniform(0.2, 0.8, count)) / max(count, 1)) * self.span[0]
        self.y = (np.arange(count) + rng.uniform(0, 1, count)) / max(count, 1) * self.span[1]
        self.size = rng.uniform(0.75, 1.3, count)
        self.phase = rng.uniform(0, 2 * math.pi, count)
        self.colour = argb(mix(light.sky()[2], (255, 255, 255), 0.62), 0.65)
        self.tile = self._rain_tile() if self.weather == "rain" else None

    def draw(self, canvas: skia.Canvas, time: float) -> None:
        """Draws the state at ``time`` seconds on a canvas in pixels."""
        if self.tile is not None:
            self._draw_rain(canvas, time, self.tile)
        elif self.weather == "snow":
            self._draw_snow(canvas, time)

    def _rain_tile(self) -> skia.Image:
        """All drops fall alike: one image that repeats in both directions."""
        width, height = (round(side * self.height) for side in self.span)
        info = skia.ImageInfo.Make(width, height, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType)
        surface = skia.Surface.MakeRaster(info)
        canvas = surface.getCanvas()
        canvas.clear(0)
        canvas.scale(self.height, self.height)
        length = 0.075 * self.size
        paint = _round_pen(self.colour, 0.016)
        for dx in (0.0, self.span[0]):
            for dy in (0.0, -self.span[1]):
                ends = np.stack(
                    [self.x + dx, self.y + dy, self.x + dx - RAIN_SLANT * length, self.y + dy + length], axis=1
                )
                points = [skia.Point(*point) for point in ends.reshape(-1, 2).tolist()]
                canvas.drawPoints(skia.Canvas.PointMode.kLines_PointMode, points, paint)
        return surface.makeImageSnapshot()

    def _draw_rain(self, canvas: skia.Canvas, time: float, tile: skia.Image) -> None:
        fall = RAIN_FALL * time * self.height
        left = round(-RAIN_SLANT * fall) % tile.width() - tile.width()
        top = round(fall) % tile.height() - tile.height()
        for x in (left, left + tile.width()):
            for y in (top, top + tile.height()):
                canvas.drawImage(tile, x, y)

    def _draw_snow(self, canvas: skia.Canvas, time: float) -> None:
        y = (self.y + SNOW_FALL * self.size * time) % self.span[1] - 0.12
        x = (self.x + 0.02 * np.sin(1.6 * time + self.phase)) % self.span[0] - 0.2
        flakes = [skia.Point(*point) for point in (np.stack([x, y], axis=1) * self.height).tolist()]
        for group in range(3):
            paint = _round_pen(argb((255, 255, 255), 0.9), (0.026 + 0.008 * group) * self.height)
            canvas.drawPoints(skia.Canvas.PointMode.kPoints_PointMode, flakes[group::3], paint)


def _round_pen(colour: int, width: float) -> skia.Paint:
    paint = skia.Paint(AntiAlias=True, Color=colour, StrokeWidth=width)
    paint.setStyle(skia.Paint.kStroke_Style)
    paint.setStrokeCap(skia.Paint.kRound_Cap)
    return paint


SKY_TRAVEL, SKY_GROWTH = 0.06, 0.15
SKY_TOP = -0.5  # world units: a close-up looks above the wide picture's upper edge


@dataclass(frozen=True, slots=True)
class Layer:
    """``travel``: share of the camera's movement it follows; ``growth``: exponent of the zoom; a band of y."""

    picture: skia.Picture
    travel: float
    growth: float
    top: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Cloud:
    sprite: Sprite
    x: float
    y: float
    speed: float


def seen_through(layer_travel: float, layer_growth: float, camera: Camera, width: int, height: int) -> skia.Matrix:
    """World units of a layer to pixels."""
    zoom = camera.zoom**layer_growth
    horizon = (HORIZON - camera.y) * camera.zoom + 0.5
    matrix = skia.Matrix()
    matrix.preTranslate(width / 2, horizon * height)
    matrix.preScale(zoom * height, zoom * height)
    matrix.preTranslate(-layer_travel * camera.x, -HORIZON)
    return matrix


@lru_cache(maxsize=16)
def record_layers(scene: Scene) -> tuple[Layer, ...]:
    """Sky, bands and foreground from back to front; kept, since stories return to their places."""
    rng = np.random.default_rng(derive(scene.place.layout, scene.place.kind, "sky"))
    sky = record(lambda canvas: draw_sky(Pen(canvas, scene.light.tone), scene.light, scene.half, rng))
    layers = [Layer(sky, SKY_TRAVEL, SKY_GROWTH, SKY_TOP, HORIZON + 0.1)]
    for band in bands_of(scene):
        tone = partial(scene.light.tone, haze=band.haze)
        picture = record(partial(_draw_band, band=band, scene=scene, tone=tone))
        layers.append(Layer(picture, band.travel, band.growth, band.top, band.bottom))
    return tuple(layers)


def _draw_band(canvas: skia.Canvas, band: Band, scene: Scene, tone: Callable[[RGB], RGB]) -> None:
    band.draw(Pen(canvas, tone), scene)


@lru_cache(maxsize=16)
def draw_clouds(place: Place, light: Light) -> tuple[tuple[Drawing, float, float, float], ...]:
    """The clouds of a place, where they are at the start of a shot and how fast they drift; kept as the layers are."""
    rng = np.random.default_rng(derive(place.layout, place.kind, "clouds"))
    clouds: list[tuple[Drawing, float, float, float]] = []
    heavy = light.weather != "clear"
    for index in range(4):
        size = float(rng.uniform(0.26, 0.38)) * (1.35 if heavy else 1.0)
        x = (index - 1.5) * 0.62 + float(rng.uniform(-0.15, 0.15))
        y = float(rng.uniform(0.08, 0.30))
        if index % 2 == 0 or heavy or light.time != "night":
            grown = np.random.default_rng(derive(place.layout, place.kind, "cloud", index))
            drawing = draw_part(partial(draw_cloud, light=light, size=size, rng=grown), light.tone, 0.0)
            clouds.append((drawing, x, y, CLOUD_SPEED * float(rng.uniform(0.7, 1.4))))
    return tuple(clouds)


def solid_rows(image: skia.Image) -> tuple[int, int]:
    """The rows between which ``image`` is opaque, its ragged edges aside: from its lowest hole to near its foot."""
    alpha = image.toarray()[:-2, 2:-2, 3]
    holes = np.flatnonzero((alpha < 255).any(axis=1))
    return (int(holes[-1]) + 1 if len(holes) else 0), len(alpha)


class Stage:
    """``cameras``: where the shot's camera starts and ends."""

    def __init__(self, place: Place, light: Light, width: int, height: int, cameras: tuple[Camera, Camera]) -> None:
        self.width, self.height = width, height
        aspect = width / height
        self.half = aspect / 2 + SCENERY_MARGIN
        self.still = cameras[0] == cameras[1]
        self.one_zoom = cameras[0].zoom == cameras[1].zoom
        self.reference = cameras[0]
        self.top_zoom = max(camera.zoom for camera in cameras)
        sky, *self.layers, self.front = record_layers(Scene(place, light, aspect, self.half))
        scale = height * self.top_zoom**SKY_GROWTH
        self.clouds = [
            Cloud(make_sprite(drawing, scale), x, y, speed) for drawing, x, y, speed in draw_clouds(place, light)
        ]
        if self.still:
            self.sky_image, _ = self._flatten([sky], skia.kOpaque_AlphaType)
            self.scenery_image = self._flatten(self.layers)
            self.front_image = self._flatten([self.front])
        else:
            self.moving = [(sky, *self._rasterise(sky, skia.kOpaque_AlphaType))]
            self.moving += [(layer, *self._rasterise(layer)) for layer in [*self.layers, self.front]]
            self.solid = solid_rows(self.moving[-2][1])

    def _flatten(self, layers: list[Layer], kind: skia.AlphaType = skia.kPremul_AlphaType) -> tuple[skia.Image, int]:
        """The layers as the still camera sees them, without the empty rows above, and how many those are.

        ``kind``: nothing need be blended with an opaque one.
        """
        pixels = np.zeros((self.height, self.width, 4), np.uint8)
        info = skia.ImageInfo.Make(self.width, self.height, skia.kBGRA_8888_ColorType, kind)
        surface = skia.Surface.MakeRasterDirect(info, pixels)
        canvas = surface.getCanvas()
        for layer in layers:
            canvas.setMatrix(seen_through(layer.travel, layer.growth, self.reference, self.width, self.height))
            canvas.drawPicture(layer.picture)
        drawn = pixels[:, :, 3].any(axis=1)
        empty = int(drawn.argmax()) if drawn.any() else self.height - 1
        return surface.makeImageSnapshot(skia.IRect(0, empty, self.width, self.height)), empty

    def _rasterise(
        self, layer: Layer, kind: skia.AlphaType = skia.kPremul_AlphaType
    ) -> tuple[skia.Image, float, float]:
        """The layer's band over the whole scenery, its empty top cut off; pixels per unit; the band's top.

        The image is as sharp as the shot needs. ``kind``: nothing need be blended with an opaque one.
        """
        scale = self.height * self.top_zoom ** (layer.growth * (1.0 if self.one_zoom else 0.6))
        width, height = round(2 * self.half * scale), round((layer.bottom - layer.top) * scale) + 1
        pixels = np.zeros((height, width, 4), np.uint8)
        surface = skia.Surface.MakeRasterDirect(
            skia.ImageInfo.Make(width, height, skia.kBGRA_8888_ColorType, kind), pixels
        )
        canvas = surface.getCanvas()
        canvas.scale(scale, scale)
        canvas.translate(self.half, -layer.top)
        canvas.drawPicture(layer.picture)
        first = int(pixels[:, :, 3].any(axis=1).argmax())
        return surface.makeImageSnapshot(skia.IRect(0, first, width, height)), scale, layer.top + first / scale

    def _draw_moving(
        self, canvas: skia.Canvas, camera: Camera, layer: Layer, image: skia.Image, scale: float, top: float
    ) -> None:
        canvas.save()
        canvas.setMatrix(seen_through(layer.travel, layer.growth, camera, self.width, self.height))
        canvas.translate(-self.half, top)
        canvas.scale(1 / scale, 1 / scale)
        # The sky hardly travels: whole pixels will do there, and cost a twentieth.
        whole_pixels = self.one_zoom and layer.growth == SKY_GROWTH
        canvas.drawImage(image, 0, 0, skia.SamplingOptions() if whole_pixels else SMOOTH, None)
        canvas.restore()

    def _draw_clouds(self, canvas: skia.Canvas, camera: Camera, time: float) -> None:
        base = seen_through(SKY_TRAVEL, SKY_GROWTH, camera, self.width, self.height)
        span = 2 * self.half
        for cloud in self.clouds:
            x = (cloud.x + cloud.speed * time + self.half) % span - self.half
            cloud.sprite.draw(canvas, skia.Matrix.Concat(base, skia.Matrix.Translate(x, cloud.y)))

    def draw_back(self, canvas: skia.Canvas, camera: Camera, time: float) -> None:
        """Everything behind the cast."""
        if self.still:
            canvas.drawImage(self.sky_image, 0, 0)
            self._draw_clouds(canvas, camera, time)
            canvas.drawImage(self.scenery_image[0], 0, self.scenery_image[1])
            return
        sky, *between, ground = self.moving[:-1]
        canvas.save()
        canvas.clipRect(skia.Rect.MakeIWH(self.width, self._hidden_from(camera)))
        self._draw_moving(canvas, camera, *sky)
        self._draw_clouds(canvas, camera, time)
        for layer in between:
            self._draw_moving(canvas, camera, *layer)
        canvas.restore()
        self._draw_moving(canvas, camera, *ground)

    def _hidden_from(self, camera: Camera) -> int:
        """The first row of the picture from which on nothing but the opaque ground is to be seen."""
        layer, _, scale, top = self.moving[-2]
        matrix = seen_through(layer.travel, layer.growth, camera, self.width, self.height)
        # A row more on either side: smooth sampling looks at the next one.
        first, last = (matrix.mapXY(0.0, top + row / scale).y() for row in (self.solid[0] + 1, self.solid[1] - 1))
        return min(self.height, max(0, math.ceil(first) + 1)) if last >= self.height else self.height

    def draw_front(self, canvas: skia.Canvas, camera: Camera) -> None:
        """The foreground, in front of the cast."""
        if self.still:
            canvas.drawImage(self.front_image[0], 0, self.front_image[1])
        else:
            self._draw_moving(canvas, camera, *self.moving[-1])
