"""Just enough FITS for the data access layer's helpers, without numpy: they are called dozens of times a window."""

from __future__ import annotations

from pathlib import Path

BLOCK, CARD = 2880, 80
MEMBER_COLUMNS = [
    ("MEMBER_XTENSION", 8),
    ("MEMBER_NAME", 32),
    ("MEMBER_VERSION", 4),
    ("MEMBER_POSITION", 4),
    ("MEMBER_LOCATION", 256),
    ("MEMBER_URI_TYPE", 3),
]
STRUCTURAL = ("SIMPLE", "XTENSION", "BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "TFIELDS", "TTYPE", "TFORM", "TNULL", "END")


class Hdu:
    """Header cards and data of one HDU."""

    def __init__(self, cards, data=b""):
        self.cards, self.data = cards, data

    def __getitem__(self, key):
        return dict(self.cards)[key]

    def get(self, key, default=None):
        return dict(self.cards).get(key, default)

    def set(self, key, value):
        for number, (name, _) in enumerate(self.cards):
            if name == key:
                self.cards[number] = (key, value)
                return
        self.cards.append((key, value))

    @property
    def name(self):
        return str(self.get("EXTNAME", ""))

    def to_bytes(self):
        header = b"".join(_card(key, value) for key, value in self.cards) + b"END".ljust(CARD)
        return _padded(header, b" ") + _padded(self.data, b"\0")


def _card(key, value):
    if isinstance(value, bool):
        text = f"{'T' if value else 'F':>20}"
    elif isinstance(value, str):
        text = "'" + value.replace("'", "''").ljust(8) + "'"
    else:
        text = f"{value!r:>20}".upper() if isinstance(value, float) else f"{value:>20}"
    return f"{key:<8}= {text}"[:CARD].ljust(CARD).encode("ascii")


def _padded(data, fill):
    return data + fill * (-len(data) % BLOCK)


def _value(text):
    text = text.strip()
    if text.startswith("'"):
        return text[1 : text.rindex("'")].replace("''", "'").rstrip()
    text = text.partition("/")[0].strip()
    if text in ("T", "F"):
        return text == "T"
    try:
        return int(text)
    except ValueError:
        return float(text) if text else ""


def _quoted_part(text):
    """The value of a card without its comment; a slash may be inside quotes."""
    if not text.lstrip().startswith("'"):
        return text
    end = 1 + text.lstrip()[1:].replace("''", "xx").index("'")
    return text.lstrip()[: end + 1]


def read(path, limit=None):
    """HDUs of an uncompressed file, at most ``limit`` of them."""
    content = Path(path).read_bytes()
    if not content.startswith(b"SIMPLE"):
        raise OSError(f"{path}: no FITS file")
    hdus, offset = [], 0
    while offset < len(content) and (limit is None or len(hdus) < limit):
        cards = []
        while True:
            block = content[offset : offset + BLOCK]
            if len(block) < BLOCK:
                raise OSError(f"{path}: truncated")
            offset += BLOCK
            lines = [block[k : k + CARD].decode("ascii", "replace") for k in range(0, BLOCK, CARD)]
            cards += [(line[:8].strip(), _value(_quoted_part(line[10:]))) for line in lines if line[8:10] == "= "]
            if any(line.rstrip() == "END" for line in lines):
                break
        head = dict(cards)
        size = abs(head["BITPIX"]) // 8 if head["NAXIS"] else 0
        for axis in range(1, head["NAXIS"] + 1):
            size *= head[f"NAXIS{axis}"]
        size += head.get("PCOUNT", 0) if head["NAXIS"] else 0
        hdus.append(Hdu(cards, content[offset : offset + size]))
        offset += -(-size // BLOCK) * BLOCK
    return hdus


def write(path, hdus):
    Path(path).write_bytes(b"".join(hdu.to_bytes() for hdu in hdus))


def primary():
    return Hdu([("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0), ("EXTEND", True)])


def empty_group(name, extra=()):
    """GROUPING table without rows; ``extra`` columns are texts of 8 (width 8) or 4-byte floats (width 4)."""
    columns = [*MEMBER_COLUMNS, *extra]
    cards = [("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS", 2), ("NAXIS1", sum(w for _, w in columns))]
    cards += [("NAXIS2", 0), ("PCOUNT", 0), ("GCOUNT", 1), ("TFIELDS", len(columns))]
    for number, (column, width) in enumerate(columns, start=1):
        form = "1J" if column in ("MEMBER_VERSION", "MEMBER_POSITION") else "1E" if width == 4 else f"{width}A"
        cards += [(f"TTYPE{number}", column), (f"TFORM{number}", form)]
    return Hdu([*cards, ("EXTNAME", "GROUPING"), ("GRPNAME", name)])


def add_member(group, extension, name, position, location):
    """Add a row to a GROUPING table."""
    values = {
        "MEMBER_XTENSION": extension.encode(),
        "MEMBER_NAME": name.encode(),
        "MEMBER_VERSION": (1).to_bytes(4, "big"),
        "MEMBER_POSITION": position.to_bytes(4, "big"),
        "MEMBER_LOCATION": location.encode(),
        "MEMBER_URI_TYPE": b"URL",
    }
    row = b"".join(values[column].ljust(width, b"\0")[:width] for column, width in MEMBER_COLUMNS)
    group.data += row.ljust(group["NAXIS1"], b"\0")
    group.set("NAXIS2", group["NAXIS2"] + 1)


def member_rows(group):
    """Name, position and location of every row."""
    offsets, offset = {}, 0
    for column, width in MEMBER_COLUMNS:
        offsets[column] = (offset, offset + width)
        offset += width
    for start in range(0, len(group.data), group["NAXIS1"]):
        row = group.data[start : start + group["NAXIS1"]]
        part = {column: row[a:b].rstrip(b"\0 ") for column, (a, b) in offsets.items()}
        a, b = offsets["MEMBER_POSITION"]
        yield part["MEMBER_NAME"].decode(), int.from_bytes(row[a:b], "big"), part["MEMBER_LOCATION"].decode()
