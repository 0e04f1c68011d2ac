#!/usr/bin/env python3
"""Composed pictures with their labels, boxes and masks: cut-out objects on procedural backgrounds.

    python tools/train/pictures.py --out DIR [--sheet FILE.png]

The objects are the photographs and drawings with alpha of Debian's tuxpaint-stamps-default (GPL-2) and some glyphs of
fonts-noto-color-emoji (OFL-1.1); both are downloaded with apt-get. Light, size, turn and blur vary; sky, grass, sand,
water, wall and floor are drawn by formulas. `single` makes a picture of one object, `scene` one of several.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

# Class: its stamps (below their folder, without .png), then its emoji. The first stamp is held out where there are
# four sources or more: only the second test set ("unseen objects") shows it.
CLASSES = {
    "apple": "food/fruit/: apple_sierra_beauty apple_fuji apple_granny_smith apple_green apple_red cartoon/apple; 🍎🍏",
    "ball": "sports/: basketball soccer tennis_ball cartoon/volleyball; ⚽🏐",
    "banana": "food/fruit/: banana cartoon/banana; 🍌",
    "bird": "animals/birds/: blackbird adelaide-rosella crow lark magpie pigeon rainbow-lorikeet silver-gull;",
    "boat": "vehicles/ship/: chineseJunk cartoon/tugboat walnutBoat; ⛵",
    "bus": "vehicles/masstransit/: green_korean_bus cartoon/double_decker_bus; 🚌",
    "car": "vehicles/auto/: sedan beetle sportscar2; 🚗🚙",
    "chicken": "animals/birds/: rooster hen chicken_profile; 🐓",
    "cow": "animals/mammals/bovines/: cow_white bull cow zebu; 🐄",
    "deer": "animals/mammals/deer/: wapiti caribou deer doe;",
    "dog": "animals/mammals/dogs/: dog dingo; 🐕",
    "duck": "animals/birds/: duck drake; 🦆",
    "elephant": "animals/mammals/: elephant; 🐘",
    "fish": "animals/fish/: stripedfish bluegroper butterflyfish clownfish coraltrout dolphinfish moonwrasse; 🐟🐠",
    "flower": "plants/flowers/: flower9 adeenia anemone_red daffodil flower1 flower2 flower5 flower8 pigface"
    " yellow-flower whitestar-petunia rose marigold bolsom; 🌸🌻🌺",
    "guitar": "hobbies/music/string/: guitar_electric guitar2 guitar_classical guitar_electric_bass; 🎸",
    "horse": "animals/mammals/equines/: horse; 🐎",
    "house": "town/houses/cartoon/: inn cityhouse pinkhome swisshome wooden_cottage jailhouse warehouse; 🏠",
    "mushroom": "plants/mushrooms/: cep-1 cep cep-2; 🍄",
    "orange": "food/fruit/: orange mandarine cartoon/orange; 🍊",
    "penguin": "animals/birds/: magellanic_penguin little-penguin penguin cartoon/tux; 🐧",
    "pig": "animals/mammals/: pig_golden pig pig_golden2; 🐖",
    "plane": "vehicles/flight/planes/: 747 cartoon/plane; 🛩",
    "rabbit": "animals/mammals/: rodents/rabbit-2 rodents/rabbit rabbit_little; 🐇",
    "sheep": "animals/mammals/bovines/: sheep ram sheep_lamb; 🐑",
    "strawberry": "food/fruit/: strawberry Strawberry2 cartoon/strawberry; 🍓",
    "tiger": "animals/mammals/cats/: tiger tiger_sumatran; 🐅",
    "tree": "plants/trees/: holm_oak birch liberia-palm tree336; 🌳🌲🌴",
    "zebra": "animals/mammals/equines/: zebra; 🦓",
}
NAMES = list(CLASSES)
STUFF = ["sky", "grass", "sand", "water", "wall", "floor"]
LARGEST = 224  # pixels of an object's longer side in memory


def fetch(package: str, cache: Path) -> Path:
    """The unpacked files of a Debian package."""
    folder = cache / package
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-qq", package], cwd=cache, check=True)
        subprocess.run(["dpkg-deb", "-x", next(cache.glob(f"{package}_*.deb")), folder], check=True)
    return folder


def trimmed(image: Image.Image) -> Image.Image:
    image = image.crop(image.getchannel("A").point(lambda a: 255 * (a > 8)).getbbox())
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return image


def objects(cache: Path) -> tuple[list[list[Image.Image]], list[list[Image.Image]]]:
    """Per class the cut-outs to learn from, and those held out (for most classes one, for some none)."""
    stamps = fetch("tuxpaint-stamps-default", cache) / "usr/share/tuxpaint/stamps"
    glyphs = fetch("fonts-noto-color-emoji", cache) / "usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
    font = ImageFont.truetype(str(glyphs), 109)  # the one size that the font has
    known, unseen = [], []
    for line in CLASSES.values():
        files, emoji = line.split(";")
        folder, files = files.split(":")
        cuts = [trimmed(Image.open(stamps / folder / f"{name}.png").convert("RGBA")) for name in files.split()]
        for glyph in emoji.strip():
            image = Image.new("RGBA", (136, 128))
            ImageDraw.Draw(image).text((0, 0), glyph, font=font, embedded_color=True)
            cuts.append(trimmed(image))
        held = 1 if len(cuts) >= 4 else 0
        unseen.append(cuts[:held])
        known.append(cuts[held:])
    return known, unseen


class Painter:
    """Draws pictures of one side length; everything random comes from one generator."""

    def __init__(self, cuts: list[list[Image.Image]], side: int, seed: int):
        self.cuts, self.side = cuts, side
        self.random = np.random.default_rng(seed)
        # A bank of smooth noise, coarse to fine; fields are cut out of it, turned and stretched.
        self.noise = [self.smooth(cells) for cells in (3, 4, 6, 9, 14, 24, 40, 80, 160) for _ in range(4)]

    def smooth(self, cells: int) -> np.ndarray:
        size = 2 * self.side
        values = self.random.random((cells, cells), dtype=np.float32)
        return np.asarray(Image.fromarray(values).resize((size, size), Image.Resampling.BICUBIC)) - 0.5

    def field(self, fine: float, stretch: int = 1) -> np.ndarray:
        """[side, side] of noise about -0.5 to 0.5; `fine` 0 is coarse, 1 is a pixel; `stretch` lengthens it along x."""
        at = min(int(fine * 9), 8) * 4 + self.random.integers(4)
        y, x = self.random.integers(self.side, size=2)
        part = self.noise[at][y : y + self.side, x : x + self.side]
        if stretch > 1:
            part = np.repeat(part[:, : -(-self.side // stretch)], stretch, axis=1)[:, : self.side]
        return part[:, ::-1] if self.random.random() < 0.5 else part

    def uniform(self, low: float, high: float) -> float:
        return float(self.random.uniform(low, high))

    def texture(self, stuff: str) -> np.ndarray:
        """[side, side, 3] in 0..255."""
        side, u = self.side, self.uniform
        y = np.linspace(0, 1, side, dtype=np.float32)[:, None]
        x = np.linspace(0, 1, side, dtype=np.float32)[None, :]
        light = u(-0.3, 0.3) * (x - 0.5) + u(-0.25, 0.25) * (y - 0.5)
        if stuff == "sky":
            top, low = (
                np.array([u(40, 130), u(110, 180), u(190, 255)]),
                np.array([u(150, 240), u(180, 240), u(210, 255)]),
            )
            color = top + (low - top) * y[..., None]
            clouds = np.clip(2.5 * (self.field(0.2, 2) + 0.5 * self.field(0.45, 2)) + u(-0.8, 0.5), 0, 1)[..., None]
            return color + (u(225, 255) - color) * clouds * u(0.3, 1)
        if stuff == "grass":
            color = np.array([u(50, 130), u(100, 180), u(20, 70)])
            shade = 0.5 * self.field(0.2) + u(0.2, 0.9) * self.field(0.9) + 0.4 * self.field(0.6).T
        elif stuff == "sand":
            color = np.array([u(170, 230), u(140, 190), u(90, 140)]) * u(0.6, 1.05)
            shade = 0.3 * self.field(0.25) + u(0.1, 0.35) * self.field(0.95) + 0.15 * self.field(0.5)
        elif stuff == "water":
            color = np.array([u(10, 80), u(80, 150), u(120, 210)])
            shade = 0.5 * self.field(0.6, 4) + 0.4 * self.field(0.85, 3) + 0.2 * self.field(0.3)
        elif stuff == "wall":
            color, shade = self.random.uniform(90, 245, 3), 0.12 * self.field(0.2) + 0.06 * self.field(0.95)
            color = color.mean() + (color - color.mean()) * u(0.2, 1)
            kind = self.random.integers(4)
            if kind == 1:  # stripes
                shade = shade + u(0.05, 0.2) * np.sign(np.sin(x * u(30, 90)))
            elif kind == 2:  # bricks
                color, rows = np.array([u(130, 190), u(60, 120), u(50, 100)]), u(6, 14)
                row = np.floor(y * rows)
                joint = ((y * rows) % 1 < 0.14) | ((x * rows / 2 + 0.5 * (row % 2)) % 1 < 0.07)
                shade = shade + 0.3 * joint + 0.2 * self.field(0.7)
        else:
            color = np.array([u(110, 210), u(80, 170), u(50, 150)])
            color = color.mean() + (color - color.mean()) * u(0, 1.2)
            depth = 1 / (y + u(0.25, 0.8))  # seen from above: lines run together towards the horizon
            across, along = (x - u(0.2, 0.8)) * u(5, 12) / depth, depth * u(3, 9)
            if self.random.random() < 0.5:  # tiles
                shade = u(0.1, 0.3) * ((np.floor(across) + np.floor(along)) % 2) + 0.15 * self.field(0.5)
            else:  # planks
                shade = 0.25 * ((across % 1) < 0.08) + 0.25 * self.field(0.8, 4).T + 0.1 * np.sin(np.floor(across) * 7)
        return color * (1 + light + shade)[..., None]

    def background(self) -> tuple[np.ndarray, np.ndarray]:
        """The picture [side, side, 3] and which stuff is where [side, side]."""
        side, pick = self.side, self.random.random()
        if pick < 0.15:
            layers = [str(self.random.choice(["grass", "sand", "water", "floor", "wall", "sky"]))]
        elif pick < 0.6:
            layers = ["sky", str(self.random.choice(["grass", "sand", "water"]))]
        elif pick < 0.75:
            layers = ["sky", *self.random.permutation(["grass", "sand", "water"])[:2]]
        else:
            layers = ["wall", "floor"]
        picture = self.texture(layers[0])
        masks = np.full((side, side), STUFF.index(layers[0]), np.uint8)
        edge, rows = self.uniform(0.3, 0.75), np.arange(side)[:, None] / side
        for stuff in layers[1:]:
            bend = 0 if stuff in ("water", "floor") else self.uniform(0, 0.4) * self.field(0.1)[0]
            below = rows > edge + bend + (self.uniform(-0.1, 0.1) if stuff != "water" else 0) * np.linspace(-1, 1, side)
            picture = np.where(below[..., None], self.texture(stuff), picture)
            masks[below] = STUFF.index(stuff)
            edge += self.uniform(0.12, 0.3)
        return picture, masks

    def object(self, kind: int, size: float) -> Image.Image:
        """A cut-out of a class, its longer side about `size` pixels, mirrored, turned, in other light."""
        cut = self.cuts[kind][self.random.integers(len(self.cuts[kind]))]
        scale = size / max(cut.size)
        stretch = self.uniform(0.88, 1.14)
        cut = cut.resize(
            (max(4, round(cut.width * scale * stretch)), max(4, round(cut.height * scale / stretch))),
            Image.Resampling.BILINEAR,
            reducing_gap=2,
        )
        if self.random.random() < 0.5:
            cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        cut = cut.rotate(self.random.normal() * 9, Image.Resampling.BILINEAR, expand=True)
        alpha = cut.getchannel("A")
        cut = ImageEnhance.Color(cut).enhance(self.uniform(0.7, 1.3))
        cut = ImageEnhance.Contrast(cut).enhance(self.uniform(0.8, 1.2))
        cut.putalpha(alpha)
        return cut

    def place(self, picture: np.ndarray, cut: Image.Image, x: int, y: int) -> np.ndarray:
        """Lays a cut-out with its corner at (x, y) onto the picture, in place; where it is opaque, [side, side]."""
        side = self.side
        pixels = np.asarray(cut, np.float32)
        where = np.zeros((side, side), bool)
        x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + cut.width, side), min(y + cut.height, side)
        if x0 >= x1 or y0 >= y1:
            return where
        part = pixels[y0 - y : y1 - y, x0 - x : x1 - x]
        alpha = part[..., 3:] / 255
        across = np.linspace(-1, 1, part.shape[1], dtype=np.float32)[None, :, None]
        color = part[..., :3] * (self.uniform(0.75, 1.2) + self.uniform(-0.15, 0.15) * across)
        picture[y0:y1, x0:x1] += alpha * (color - picture[y0:y1, x0:x1])
        where[y0:y1, x0:x1] = alpha[..., 0] > 0.5
        return where

    def finish(self, picture: np.ndarray) -> np.ndarray:
        """Light, tint, blur and grain of the whole picture, to bytes."""
        picture = picture * (self.uniform(0.7, 1.2) * self.random.uniform(0.93, 1.07, 3)).astype(np.float32)
        image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
        if self.random.random() < 0.3:
            image = image.filter(ImageFilter.BoxBlur(self.uniform(0.2, 0.9)))
        grain = self.random.integers(-6, 7, (self.side, self.side, 1))
        return np.clip(np.asarray(image, np.int16) + grain, 0, 255).astype(np.uint8)

    def single(self, kind: int) -> np.ndarray:
        """A picture [side, side, 3] of one object."""
        picture, _ = self.background()
        cut = self.object(kind, self.side * self.uniform(0.5, 0.95))
        middle = (self.side - np.array(cut.size)) / 2 + self.random.normal(size=2) * 0.07 * self.side
        self.place(picture, cut, *map(round, middle))
        return self.finish(picture)

    def scene(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[int]]:
        """Several objects, the later ones in front: the picture, its stuff, whose each pixel is (0: nobody's, else
        the n-th object's), and the objects' classes."""
        picture, stuff = self.background()
        owner, kinds = np.zeros((self.side, self.side), np.uint8), []
        for _ in range(count):
            kind = int(self.random.integers(len(self.cuts)))
            cut = self.object(kind, self.side * self.uniform(0.25, 0.65))
            x = round(self.uniform(-0.1, 1.1) * (self.side - cut.width))
            y = round(self.uniform(0, 1.05) * (self.side - cut.height))
            where = self.place(picture, cut, x, y)
            kinds.append(kind)
            owner[where] = len(kinds)
        return self.finish(picture), stuff, owner, kinds


def singles(
    path: Path, cuts: list[list[Image.Image]], count: int, side: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """`count` pictures of one object each, [count, side, side, 3] mapped from a file, and their classes."""
    kinds = np.array([kind for kind, sources in enumerate(cuts) if sources])
    labels = kinds[np.arange(count) % len(kinds)]
    if not path.exists():
        painter = Painter(cuts, side, seed)
        part = path.with_suffix(".part.npy")
        pictures = np.lib.format.open_memmap(part, "w+", np.uint8, (count, side, side, 3))
        for i, kind in enumerate(labels):
            pictures[i] = painter.single(kind)
        pictures.flush()
        part.rename(path)
    return np.load(path, mmap_mode="r"), labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the packages")
    parser.add_argument("--sheet", type=Path, help="write one picture of each class and some scenes, to look at")
    args = parser.parse_args()
    known, unseen = objects(args.out)
    for name, ours, held in zip(NAMES, known, unseen):
        print(f"{name}: {len(ours)} cut-outs, {len(held)} held out")
    if args.sheet:
        painter = Painter(known, 128, 0)
        pictures = [painter.single(kind) for kind in range(len(NAMES))] + [painter.scene(3)[0] for _ in range(19)]
        rows = [np.concatenate(pictures[at : at + 8], axis=1) for at in range(0, len(pictures), 8)]
        Image.fromarray(np.concatenate(rows)).save(args.sheet)


if __name__ == "__main__":
    main()
