"""Figures as SVG: files, and parts of a page in its colours that say what they are to those who cannot see them."""

import hashlib
import re
import warnings
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from matplotlib import rc_context
from matplotlib.figure import Figure

from unblur.files import write_output
from unblur.reporting.figure import GRID, GROUND, INK, SOFT, STYLE, Plot, told

NAMESPACE, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
THEME = {INK: "var(--ink)", SOFT: "var(--soft)", GRID: "var(--line)", GROUND: "var(--ground)"}
"""The page's variables for what is not a series."""
GROUP, DEFINITIONS = f"{NAMESPACE}g", f"{NAMESPACE}defs"
MARKS = (f"{NAMESPACE}use", f"{NAMESPACE}path")
REFERENCES = {"href", "clip-path"}
NO_XML = r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"
"""What XML has no way to say, and a name may have in it all the same."""
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def slug(text: str) -> str:
    """An id for an element or a name for a file, distinct for distinct texts."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return plain if plain == text else f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def write_figures(figures: Mapping[str, Figure], folder: Path, flag: str) -> list[Path]:
    """Write the figures into `folder`, by their names; the files. UserError names the flag when that fails."""
    files = {folder / f"{slug(name)}.svg": figure for name, figure in figures.items()}
    for file, figure in files.items():
        write_output(file, saved(figure, "unblur"), flag)
    return list(files)


def inline(plot: Plot, name: str) -> str:
    """The figure as an element for a page; every id in it begins with `name` and a dash."""
    root = ElementTree.fromstring(saved(plot.figure, name))
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-labelledby": f"{name}-title {name}-desc"}
    for sheet in root.findall(f"{DEFINITIONS}[{NAMESPACE}style]"):  # a rule for `*`: it would be the whole page's
        root.remove(sheet)
    for element in list(root.iter()):
        _titled(element)
        _plain(element)
    for group in root.iter(GROUP):
        _unwrapped(group)
        _said_once(group)
    _named(root, name)
    for place, (kind, text) in enumerate((("title", plot.title), ("desc", plot.caption))):
        said = Element(f"{NAMESPACE}{kind}", {"id": f"{name}-{kind}"})
        said.text = text
        root.insert(place, said)
    ElementTree.register_namespace("", NAMESPACE.strip("{}"))
    return ElementTree.tostring(root, encoding="unicode")


def saved(figure: Figure, salt: str, transparent: bool = True) -> str:
    """The figure as a document; whoever shows it on a ground of unknown colour leaves it its own (not transparent)."""
    file = StringIO()
    with rc_context({**STYLE, "svg.hashsalt": salt}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a browser has other fonts
        figure.savefig(file, format="svg", metadata=NO_METADATA, transparent=transparent)
    return re.sub(NO_XML, "", file.getvalue())


def _titled(element: Element) -> None:
    """What a pointer is told on each mark of a group."""
    if texts := told(element.get("id", "")):
        for mark, text in zip(_marks(element), texts, strict=True):
            SubElement(mark, f"{NAMESPACE}title").text = text


def _marks(group: Element) -> Iterator[Element]:
    for child in group:
        if child.tag in MARKS:
            yield child
        elif child.tag != DEFINITIONS:
            yield from _marks(child)


def _plain(element: Element) -> None:
    """Without what the page says for all figures, in its colours, to a tenth of a unit."""
    element.text = (element.text or "").strip() or None
    element.tail = None
    if LINK in element.attrib:
        element.set("href", element.attrib.pop(LINK))
    for name in element.attrib.keys() & {"d", "x", "y", "transform"}:
        element.set(name, re.sub(r"-?\d+\.\d+", _short, " ".join(element.attrib[name].split())))
    if style := element.get("style"):
        style = re.sub(r"font-family: [^;]+;? ?", "", style)
        element.set("style", re.sub("|".join(THEME), lambda found: THEME[found[0]], style))


def _short(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")


def _unwrapped(group: Element) -> None:
    """Points that have a group each, with nothing but its clip, are in this group alone."""
    wraps = [child for child in group if child.tag != DEFINITIONS]
    if all(wrap.tag == GROUP and set(wrap.attrib) == {"clip-path"} and len(wrap) == 1 for wrap in wraps):
        for place, wrap in enumerate(wraps, start=len(group) - len(wraps)):
            group[place] = wrap[0]
            group[place].set("clip-path", wrap.attrib["clip-path"])


def _said_once(group: Element) -> None:
    """What is the same for all marks of a group is said by the group: hundreds of points have one style and clip."""
    marks = [child for child in group if child.tag != DEFINITIONS]
    if not all(mark.tag in MARKS for mark in marks):
        return
    for key in {"style", "clip-path"} - group.attrib.keys():
        said = {mark.get(key) for mark in marks}
        if len(said) == 1 and (value := said.pop()):
            group.set(key, value)
            for mark in marks:
                del mark.attrib[key]


def _named(root: Element, name: str) -> None:
    """Ids that are of this figure alone, for what is referred to; no other."""
    values = [element.get(key, "") for element in root.iter() for key in REFERENCES]
    used = dict.fromkeys(found for value in values for found in re.findall(r"#([^)]+)", value))
    short = {known: f"{name}-{place}" for place, known in enumerate(used)}
    for element in root.iter():
        if (known := element.attrib.pop("id", None)) in short:
            element.set("id", short[known])
        for key in element.attrib.keys() & REFERENCES:
            element.set(key, re.sub(r"#([^)]+)", lambda found: f"#{short[found[1]]}", element.attrib[key]))
