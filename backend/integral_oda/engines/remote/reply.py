"""Replies of the online system as files."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from integral_oda.engines.remote.decoding import write_product
from integral_oda.engines.remote.dispatcher import Dispatcher, find_token

__all__ = ["Reply", "ask", "same_source"]


@dataclass
class Reply:
    """Products of a request, as files in a folder of their own."""

    products: Mapping[str, Any]
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="integral-oda-mmoda-")))

    def files(self, name: str) -> list[tuple[Path, Mapping[str, Any]]]:
        """FITS files of the products of one name, with the products."""
        listed = self.products.get("numpy_data_product_list") or [self.products.get("numpy_data_product") or {}]
        wanted = [product for product in listed if str(product.get("name", "")) == name]
        written = []
        for number, product in enumerate(wanted):
            path = self.folder / f"{name}_{number:04d}.fits"
            write_product(path, product)
            written.append((path, product))
        return written

    def __del__(self) -> None:
        """Nothing is left behind when nobody needs the files any more."""
        self.close()

    def close(self) -> None:
        """Remove the files."""
        shutil.rmtree(self.folder, ignore_errors=True)


def ask(product: str, parameters: Mapping[str, Any], request: Mapping[str, Any]) -> Reply:
    """Ask for a product; ``url`` and the shared ``request`` are among the step's parameters."""
    dispatcher = Dispatcher(parameters["url"], find_token())
    return Reply(dispatcher.products(product, {**parameters["request"], **request}))


def same_source(name: str, other: str) -> bool:
    """Whether two names are the same but for case, blanks and signs."""
    return re.sub(r"\W", "", name).lower() == re.sub(r"\W", "", other).lower()
