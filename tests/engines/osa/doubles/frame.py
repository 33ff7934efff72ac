"""What every double does as OSA's executables do: parameters by PIL, groups checked, a log, a status; and failing."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import small_fits

STANDARD_TEMPLATES = {
    "GNRL-SCWG-GRP.tpl": ("GNRL-SCWG-GRP", ()),
    "GNRL-OBSG-GRP.tpl": ("GNRL-OBSG-GRP", ()),
    "ISGR-DETE-SHD-IDX.tpl": ("ISGR-DETE-SHD-IDX", (("E_MIN", 4), ("E_MAX", 4), ("ISDCLEVL", 8))),
    "GNRL-SCWG-GRP-IDX.tpl": ("GNRL-SCWG-GRP-IDX", ()),
}


class Fault(Exception):  # noqa: N818
    """Ends the double with a status and an error line."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Double:
    """One call of an executable."""

    def __init__(self, name, arguments):
        self.name, self.root = name, Path(os.environ["ISDC_ENV"])
        self.locks = []
        self.log_path = Path(os.environ["COMMONLOGFILE"].removeprefix("+"))
        self.parameters = self._parameters(arguments)

    # -- parameters ------------------------------------------------------------------------------------------------

    def _parameters(self, arguments):
        user, _, system = os.environ["PFILES"].partition(";")
        self._lock(Path(user) / f"{self.name}.lock")
        self._lock(self.log_path.with_suffix(".lock"))
        self._lock(Path.cwd() / ".osa-double.lock")
        places = [folder for folder in [user, *system.split(":")] if (Path(folder) / f"{self.name}.par").is_file()]
        if not places:
            raise Fault(-3003, f"PIL: no parameter file {self.name}.par in {os.environ['PFILES']}")
        known = dict(_read_parameter_file(Path(places[0]) / f"{self.name}.par"))
        given = {}
        for argument in arguments:
            name, equals, value = argument.partition("=")
            if not equals or (name != "mode" and name not in known):
                raise Fault(-3026, f"PIL: unknown parameter {argument}")
            given[name] = value
        if given.pop("mode", "ql") != "h":
            raise Fault(-3000, "PIL: would prompt")
        missing = [name for name, default in known.items() if default is None and name not in given]
        if missing:
            raise Fault(-3012, f"PIL: missing parameter {missing[0]}")
        values = {**{n: d for n, d in known.items() if d is not None}, **given}
        learned = "".join(f"{name},s,h,{value},,,\n" for name, value in values.items())
        (Path(user) / f"{self.name}.par").write_text(learned, encoding="utf-8")
        return values

    def __getitem__(self, name):
        return self.parameters[name]

    def _lock(self, path):
        """Two processes at the same file are what working directories of one's own are to prevent."""
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            raise Fault(-9999, f"{path}: another process is using it") from None
        self.locks.append(path)

    def release(self):
        for path in self.locks:
            path.unlink(missing_ok=True)

    # -- log -------------------------------------------------------------------------------------------------------

    def log(self, text):
        line = f"Log_1  : {time.strftime('%Y-%m-%dT%H:%M:%S')} {self.name} 1.0: {text}"
        with self.log_path.open("a", encoding="utf-8") as log:
            log.write(line + "\n")
        print(line, flush=True)

    def error(self, text):
        print(f"Error_1: {self.name}: {text}", flush=True)

    def end(self, status):
        self.log(f"Task {self.name} terminating with status {status}")
        self.release()
        sys.exit(status % 256)

    # -- failing on demand -----------------------------------------------------------------------------------------

    def maybe_fail(self, window):
        """Fail as ``fail.json`` says, a number of times or always: for one window, or (None) at once for all."""
        path = self.root / "fail.json"
        if not path.is_file():
            return None
        order = json.loads(path.read_text()).get(self.name)
        if order is None or (window is None) == ("window" in order) or order.get("window", "") not in (window or ""):
            return None
        if not self._once_more(order.get("times")):
            return None
        if order.get("text"):
            self.log(order["text"])
        return self._fail(order)

    def _once_more(self, times):
        if times is None:
            return True
        path = self.root / f"fail-{self.name}.count"
        count = int(path.read_text()) if path.is_file() else 0
        path.write_text(str(count + 1))
        return count < times

    def _fail(self, order):
        how = order.get("how", "status")
        if how == "no line":
            self.release()
            sys.exit(order.get("status", 1) % 256)
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "hang":
            time.sleep(600)
        if how == "no output":
            self.end(0)
        if how == "after output":
            return order["text"]
        self.error(order.get("text") or "failed on demand")
        return self.end(order.get("status", -1))

    def record(self, window):
        """Note which files this process has for its own."""
        folder = self.root / "records"
        if folder.is_dir():
            names = ("PFILES", "COMMONLOGFILE", "HOME", "DISPLAY", "COMMONSCRIPT", "CFITSIO_INCLUDE_FILES")
            told = {"name": self.name, "window": window, "cwd": str(Path.cwd()), "parameters": self.parameters}
            told |= {name: os.environ.get(name) for name in names}
            (folder / f"{time.time_ns()}-{os.getpid()}.json").write_text(json.dumps(told))


def _read_parameter_file(path):
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, mode, default, *_ = line.split(",")
        yield name, None if mode == "q" else default


# -- data access layer -------------------------------------------------------------------------------------------------


def split_dol(dol):
    """File, and extension in brackets, of a DOL; a template in round brackets is dropped."""
    match = re.fullmatch(r"!?([^\[(]*)(?:\([^)]*\))?(?:\[(.*)\])?", dol)
    if match is None:
        raise Fault(-2504, f"{dol}: no DOL")
    return match[1], match[2] or ""


def existing(path):
    for candidate in (Path(path), Path(f"{path}.gz")):
        if candidate.is_file():
            return candidate
    raise Fault(-25504, f"{path}: no such file")


def headers(path):
    """Header cards of every HDU, of a gzipped file too."""
    path = existing(path)
    if path.suffix == ".gz":
        plain = Path.cwd() / f".unpacked-{os.getpid()}.fits"
        plain.write_bytes(gzip.decompress(path.read_bytes()))
        try:
            return [dict(hdu.cards) for hdu in small_fits.read(plain)]
        finally:
            plain.unlink()
    return [dict(hdu.cards) for hdu in small_fits.read(path)]


def structure_of(header):
    return str(header.get("GRPNAME") if header.get("EXTNAME") == "GROUPING" else header.get("EXTNAME", ""))


def find_extension(path, extension):
    """Header and number of the HDU that an extension means; the first one where none is named."""
    found = headers(path)
    wanted = extension.partition(",")[0]
    if wanted.isdigit():
        return found[int(wanted)], int(wanted)
    for number, header in enumerate(found):
        names = (header.get("EXTNAME"), header.get("GRPNAME"))
        if number and (not wanted or wanted in names):
            return header, number
    raise Fault(-25505, f"{path}: no extension {extension}")


class Group:
    """A group with its members."""

    def __init__(self, dol):
        self.path = Path(split_dol(str(dol))[0])
        hdus = small_fits.read(existing(self.path))
        self.group = next(hdu for hdu in hdus if hdu.name == "GROUPING")
        self.rows = list(small_fits.member_rows(self.group))

    def keyword(self, name):
        return self.group.get(name)

    def members(self, name):
        """Paths of the members of a structure, as they are reached from here."""
        return [self.path.parent / location for found, _, location in self.rows if found == name]

    def member(self, name):
        found = self.members(name)
        if not found:
            raise Fault(-25510, f"{self.path}: no member {name}")
        return existing(found[0])

    def require(self, members=(), keywords=(), level=None):
        """Refuse a group that lacks what the manual asks for."""
        for name in members:
            self.member(name)
        for name in ("REVOL", *keywords):
            if self.keyword(name) in (None, ""):
                raise Fault(-25511, f"{self.path}: keyword {name} is missing")
        if level is not None and self.keyword("ISDCLEVL") != level:
            raise Fault(-25512, f"{self.path}: ISDCLEVL is {self.keyword('ISDCLEVL')}, {level} is needed")

    @property
    def window(self):
        """Science window, from its keyword or from the place of its raw files."""
        places = " ".join(location for _, _, location in self.rows)
        match = re.search(r"scw/\d{4}/(\d{12})\.", places)
        return str(self.keyword("SWID") or (match[1] if match else ""))


def run(name, arguments, find):
    """Carry a call out: parse, maybe fail, work, log the status."""
    try:
        double = Double(name, arguments)
    except Fault as fault:
        print(f"Error_1: {name}: {fault}", flush=True)
        print(f"Log_1  : {name}: Task {name} terminating with status {fault.status}", flush=True)
        sys.exit(fault.status % 256)
    try:
        double.maybe_fail(None)
        find(name)(double)
    except Fault as fault:
        double.error(str(fault))
        double.end(fault.status)
    double.end(0)
