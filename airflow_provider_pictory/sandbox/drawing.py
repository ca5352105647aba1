"""What a video of the sandbox looks like: its prompt on a soft gradient, and a clock that runs below it."""

from __future__ import annotations

import colorsys
import functools
import hashlib
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

if TYPE_CHECKING:
    from pathlib import Path

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_MARK = "PICTORY SANDBOX"
_WHITE = (255, 255, 255)
_FAINT_WHITE = (255, 255, 255, 190)
_MARGIN = 28
_PROMPT_SIZES = (34, 30, 26, 22, 19, 16)
_LONGEST_PROMPT_SHOWN = 1200
_SMALL_TEXT_SIZE = 13
_CLOCK_SIZE = 22
_STRIP_HEIGHT = 66
_BAR_HEIGHT = 6
_SUPERSAMPLING = 4
_DISSOLVE_SECONDS = 1.0

# The font at hand is ASCII: what it lacks is written with what it has, and symbols are left out.
_SUBSTITUTES = str.maketrans(
    {"\u2010": "-", "\u2013": "-", "\u2014": "-", "\u2018": "'", "\u2019": "'", "\u00df": "ss", "\u00d7": "x"}
)
_UNDRAWABLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Me", "Mn", "Sk", "So"})


@dataclass(frozen=True)
class Scene:
    """
    What there is to show.

    :param prompt: the text in the middle, whatever its characters and its length.
    :param caption: the small text at the top.
    :param duration: the seconds that the clock runs.
    :param width: of the picture in pixels.
    :param height: of the picture in pixels.
    :param first_frame: a picture of this size that the video starts from, if any.
    """

    prompt: str
    caption: str
    duration: int
    width: int
    height: int
    first_frame: Path | None = None


class Painter:
    """
    Paints the moments of one scene onto one picture, of which only the clock's strip ever changes.

    :param scene: what to show.
    """

    def __init__(self, scene: Scene) -> None:
        self._duration = scene.duration
        self.picture = _backdrop(scene)
        self._strip_top = scene.height - _STRIP_HEIGHT
        self._still_strip = self.picture.crop((0, self._strip_top, scene.width, scene.height))
        bar_size = (scene.width - 2 * _MARGIN, _BAR_HEIGHT)
        self._bar_place = (_MARGIN, _STRIP_HEIGHT - _BAR_HEIGHT - 18)
        self._bar = _rounded_bar(bar_size)
        self._still_strip.paste(_WHITE, self._bar_place, self._bar.point(lambda value: value // 4))

    def paint(self, seconds: float) -> Image.Image:
        """
        Return the picture of one moment; it is the same object each time.

        :param seconds: the moment, from 0 to the scene's duration.
        """
        strip = self._still_strip.copy()
        done = self._bar.crop((0, 0, max(1, round(self._bar.width * seconds / self._duration)), _BAR_HEIGHT))
        strip.paste(_WHITE, self._bar_place, done)
        clock = f"{_clock_time(seconds)} / {_clock_time(self._duration).removesuffix('.0')}"
        _draw_steady(ImageDraw.Draw(strip), (_MARGIN, self._bar_place[1] - 12), clock)
        self.picture.paste(strip, (0, self._strip_top))
        return self.picture


def dissolved(first_frame: Image.Image, picture: Image.Image, seconds: float) -> Image.Image:
    """
    Return the picture of a moment in which a video leaves the frame that it starts from.

    :param first_frame: what the video starts from.
    :param picture: what it shows in the end, of the same size.
    :param seconds: since the first frame, at which there is nothing of the picture yet.
    """
    progress = seconds / _DISSOLVE_SECONDS
    if progress >= 1:
        return picture
    # Slow, fast, slow, as the eye likes it.
    return Image.blend(first_frame, picture, progress * progress * (3 - 2 * progress))


def _backdrop(scene: Scene) -> Image.Image:
    picture = _gradient(scene)
    small_font = _font(_SMALL_TEXT_SIZE)
    draw = ImageDraw.Draw(picture, "RGBA")
    draw.text((_MARGIN, _MARGIN), scene.caption, _FAINT_WHITE, small_font, anchor="ls")
    draw.text((scene.width - _MARGIN, _MARGIN), _MARK, _FAINT_WHITE, small_font, anchor="rs")
    _draw_prompt(picture, scene.prompt, (_MARGIN, 44, scene.width - _MARGIN, scene.height - _STRIP_HEIGHT))
    return picture


def _gradient(scene: Scene) -> Image.Image:
    """Spread a few related colours over the picture; the same prompt always gets the same ones."""
    digest = hashlib.sha256(scene.prompt.encode("utf-8", "replace")).digest()
    # From green-blue over purple to orange: what lies between orange and green looks muddy when it is dark.
    hue = 0.48 + 0.58 * digest[0] / 256
    seeds = Image.new("RGB", (3, 3))
    for place in range(9):
        across, down = place % 3, place // 3
        wobble = digest[1 + place] / 256 - 0.5
        seeds.putpixel(
            (across, down),
            _colour(hue + 0.06 * (across - down) + 0.05 * wobble, 0.62, 0.60 - 0.13 * down + 0.12 * wobble),
        )
    smooth = seeds.resize((scene.width, scene.height), Image.Resampling.BICUBIC)
    # A little noise hides the steps that 8 bits and the encoder would leave in so soft a gradient.
    noise = Image.effect_noise((scene.width, scene.height), 2).convert("RGB")
    return ImageChops.add(smooth, noise, offset=-128)


def _colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _draw_prompt(picture: Image.Image, prompt: str, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    text, font = _fitted(prompt, right - left, bottom - top)
    middle = ((left + right) / 2, (top + bottom) / 2)
    letters = Image.new("L", picture.size)
    ImageDraw.Draw(letters).multiline_text(
        middle, text, 255, font, anchor="mm", align="center", spacing=_line_gap(font)
    )
    shadow = letters.filter(ImageFilter.GaussianBlur(5))
    picture.paste((0, 0, 0), (0, 2), shadow.point(lambda value: value * 6 // 10))
    picture.paste(_WHITE, (0, 0), letters)


def _fitted(prompt: str, width: int, height: int) -> tuple[str, Font]:
    """Wrap a prompt in the largest letters that fit; what doesn't fit in the smallest is cut off."""
    words = drawable(prompt)[:_LONGEST_PROMPT_SHOWN].split()
    for size in _PROMPT_SIZES:
        font = _font(size)
        most_lines = int(height // (size + _line_gap(font)))
        # Wrapping takes its time, so what can't fit isn't tried; the smallest letters are the last resort.
        if font.getlength(" ".join(words)) > width * most_lines and size != _PROMPT_SIZES[-1]:
            continue
        lines = _wrapped(words, font, width)
        if len(lines) <= most_lines:
            return "\n".join(_balanced(lines, words, font, width)), font
    return "\n".join([*lines[: most_lines - 1], f"{lines[most_lines - 1][:-3]}..."]), font


def _wrapped(words: list[str], font: Font, width: float) -> list[str]:
    lines = [""]
    for word in words:
        longer = f"{lines[-1]} {word}".lstrip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for character in word:
            if lines[-1] and font.getlength(lines[-1] + character) > width:
                lines.append("")
            lines[-1] += character
    return lines


def _balanced(lines: list[str], words: list[str], font: Font, width: float) -> list[str]:
    """Make the lines about equally long, so that no word stands alone on the last one."""
    longest_word = max((font.getlength(word) for word in words), default=width)
    for percent in range(95, 0, -5):
        narrower = width * percent / 100
        candidate = _wrapped(words, font, narrower)
        if len(candidate) > len(lines) or longest_word > narrower:
            break
        lines = candidate
    return lines


def drawable(text: str) -> str:
    """
    Return a text with only what can be drawn: no symbols, no control characters, no accents.

    :param text: any text; letters that the font lacks stay, and show as boxes.
    """
    plain = unicodedata.normalize("NFKD", text.translate(_SUBSTITUTES))
    return "".join(
        character
        for character in plain
        if character.isspace() or unicodedata.category(character) not in _UNDRAWABLE or character in "^`"
    )


def _rounded_bar(size: tuple[int, int]) -> Image.Image:
    width, height = size[0] * _SUPERSAMPLING, size[1] * _SUPERSAMPLING
    large = Image.new("L", (width, height))
    ImageDraw.Draw(large).rounded_rectangle((0, 0, width - 1, height - 1), height // 2, fill=255)
    return large.resize(size, Image.Resampling.LANCZOS)


def _draw_steady(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str) -> None:
    """Draw a clock's text with all digits equally wide, or it would tremble as it runs."""
    font = _font(_CLOCK_SIZE)
    digit_width = max(font.getlength(digit) for digit in "0123456789")
    across, baseline = float(place[0]), place[1]
    for character in text:
        width = digit_width if character.isdigit() else font.getlength(character)
        draw.text((across + width / 2, baseline), character, _WHITE, font, anchor="ms")
        across += width


def _clock_time(seconds: float) -> str:
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


def _line_gap(font: Font) -> float:
    return font.getbbox("x")[3] * 0.3


@functools.cache
def _font(size: int) -> Font:
    return ImageFont.load_default(size=size)
