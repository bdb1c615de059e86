"""The scenery of one shot as layers with parallax, and the camera over them.

Still cameras flatten the layers into two pictures once; a moving camera shifts and scales one image
per layer. Layers meet at the horizon: each scales about it, the deeper the less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import skia

from shotstream.core.randomness import derive
from shotstream.data.world.camera import SCENERY_MARGIN, Camera
from shotstream.data.world.palette import RGB, Light
from shotstream.data.world.pen import Pen, record
from shotstream.data.world.puppets.sprite import SMOOTH, Sprite, make_sprite
from shotstream.data.world.scenery.places import bands_of
from shotstream.data.world.scenery.scene import Band, Scene
from shotstream.data.world.sky import CLOUD_SPEED, HORIZON, draw_cloud, draw_sky
from shotstream.data.world.spec import Place

SKY_TRAVEL, SKY_GROWTH = 0.06, 0.15


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
    rng = np.random.default_rng(derive(scene.place.layout, "sky"))
    sky = record(lambda canvas: draw_sky(Pen(canvas, scene.light.tone), scene.light, scene.half, rng))
    layers = [Layer(sky, SKY_TRAVEL, SKY_GROWTH, -0.2, HORIZON + 0.1)]
    for band in bands_of(scene):
        tone = partial(scene.light.tone, haze=band.haze)
        picture = record(partial(_draw_band, band=band, scene=scene, tone=tone))
        layers.append(Layer(picture, band.travel, band.growth, band.top, band.bottom))
    return tuple(layers)


def _draw_band(canvas: skia.Canvas, band: Band, scene: Scene, tone: Callable[[RGB], RGB]) -> None:
    band.draw(Pen(canvas, tone), scene)


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
        self.clouds = self._make_clouds(place, light)
        if self.still:
            self.sky_image = self._flatten([sky])
            self.scenery_image = self._flatten(self.layers)
            self.front_image = self._flatten([self.front])
        else:
            self.moving = [(layer, *self._rasterise(layer)) for layer in [sky, *self.layers, self.front]]

    def _make_clouds(self, place: Place, light: Light) -> list[Cloud]:
        rng = np.random.default_rng(derive(place.layout, "clouds"))
        clouds: list[Cloud] = []
        heavy = light.weather != "clear"
        for index in range(4):
            size = float(rng.uniform(0.26, 0.38)) * (1.35 if heavy else 1.0)
            x = (index - 1.5) * 0.62 + float(rng.uniform(-0.15, 0.15))
            y = float(rng.uniform(0.08, 0.30))
            grown = np.random.default_rng(derive(place.layout, "cloud", index))
            sprite = make_sprite(
                partial(draw_cloud, light=light, size=size, rng=grown),
                light.tone,
                0.0,
                self.height * self.top_zoom**SKY_GROWTH,
            )
            if index % 2 == 0 or heavy or light.time != "night":
                clouds.append(Cloud(sprite, x, y, CLOUD_SPEED * float(rng.uniform(0.7, 1.4))))
        return clouds

    def _surface(self, width: int, height: int) -> skia.Surface:
        info = skia.ImageInfo.Make(width, height, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType)
        surface = skia.Surface.MakeRaster(info)
        surface.getCanvas().clear(0)
        return surface

    def _flatten(self, layers: list[Layer]) -> skia.Image:
        surface = self._surface(self.width, self.height)
        canvas = surface.getCanvas()
        for layer in layers:
            canvas.setMatrix(seen_through(layer.travel, layer.growth, self.reference, self.width, self.height))
            canvas.drawPicture(layer.picture)
        return surface.makeImageSnapshot()

    def _rasterise(self, layer: Layer) -> tuple[skia.Image, float, float]:
        """The layer's band over the whole scenery, its empty top cut off; pixels per unit; the band's top.

        The image is as sharp as the shot needs.
        """
        scale = self.height * self.top_zoom ** (layer.growth * (1.0 if self.one_zoom else 0.6))
        width, height = round(2 * self.half * scale), round((layer.bottom - layer.top) * scale) + 1
        pixels = np.zeros((height, width, 4), np.uint8)
        info = skia.ImageInfo.Make(width, height, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType)
        surface = skia.Surface.MakeRasterDirect(info, pixels)
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
            canvas.drawImage(self.scenery_image, 0, 0)
            return
        for index, layer in enumerate(self.moving[:-1]):
            self._draw_moving(canvas, camera, *layer)
            if index == 0:
                self._draw_clouds(canvas, camera, time)

    def draw_front(self, canvas: skia.Canvas, camera: Camera) -> None:
        """The foreground, in front of the cast."""
        if self.still:
            canvas.drawImage(self.front_image, 0, 0)
        else:
            self._draw_moving(canvas, camera, *self.moving[-1])
