"""Pixel grids of the sky: a gnomonic plane as nine numbers, any other grid as the directions of its pixels.

A gnomonic image maps a direction v (unit vector, FK5) to (column w, row w, w) = C v with a 3 x 3 matrix C, its
camera. The pixels of one plane go to those of another by C' C^-1: a projective map, no call a pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from integral_oda.arrays import Array
from integral_oda.instrument.attitude import unit_vector

__all__ = ["Block", "DirectionGrid", "Extent", "ImagePlane", "PlaneGrid", "gnomonic_camera"]

_STRIP = 64
"""Rows that are mapped together: their arrays stay in the processor's cache."""
_RIM_STEP = 16


def gnomonic_camera(ra_deg: float, dec_deg: float, cd_deg: Array, reference: tuple[float, float]) -> Array:
    """Camera of a gnomonic image, ``(3, 3)``.

    Parameters
    ----------
    ra_deg, dec_deg : float
        Tangent point, degrees FK5.
    cd_deg : ndarray
        ``(2, 2)`` degrees a pixel, from (column, row) to (east, north) in the plane.
    reference : tuple of float
        Column and row (0-based) of the tangent point.
    """
    ra, dec = np.deg2rad(ra_deg), np.deg2rad(dec_deg)
    forward = unit_vector(ra_deg, dec_deg)
    east = np.array([-np.sin(ra), np.cos(ra), 0.0])
    north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    in_plane = np.linalg.inv(np.deg2rad(cd_deg)) @ np.stack([east, north])
    return np.vstack([in_plane + np.outer(reference, forward), forward])


@dataclass(frozen=True)
class Extent:
    """A part of a grid: its first row and column, which may be negative, and its shape."""

    row: int
    column: int
    n_rows: int
    n_columns: int

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns."""
        return self.n_rows, self.n_columns

    def union(self, other: Extent) -> Extent:
        """The smallest extent around both."""
        row, column = min(self.row, other.row), min(self.column, other.column)
        last_row = max(self.row + self.n_rows, other.row + other.n_rows)
        last_column = max(self.column + self.n_columns, other.column + other.n_columns)
        return Extent(row, column, last_row - row, last_column - column)

    def within(self, outer: Extent) -> tuple[slice, slice]:
        """Slices of an outer extent's arrays that this one is."""
        row, column = self.row - outer.row, self.column - outer.column
        return slice(row, row + self.n_rows), slice(column, column + self.n_columns)


@dataclass(frozen=True)
class ImagePlane:
    """Where a sky image lies.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns.
    camera : ndarray or None
        ``(3, 3)``, of a gnomonic image.
    to_pixel : callable or None
        Columns and rows (NaN for nowhere) of directions ``(n, 3)``, of an image in another projection.
    centre : ndarray
        Direction of its middle, ``(3,)``.
    radius : float
        Angle from the middle to the farthest pixel, radian.
    """

    shape: tuple[int, int]
    centre: Array
    radius: float
    camera: Array | None = None
    to_pixel: Callable[[Array], tuple[Array, Array]] | None = None

    @classmethod
    def gnomonic(cls, camera: Array, shape: tuple[int, int]) -> ImagePlane:
        """Plane of a gnomonic image from its camera."""
        rows, columns = shape
        corners = np.array([(c, r, 1.0) for r in (-0.5, rows - 0.5) for c in (-0.5, columns - 0.5)])
        directions = corners @ np.linalg.inv(camera).T
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        middle = directions.sum(axis=0)
        middle /= np.linalg.norm(middle)
        return cls(shape, middle, float(np.arccos(np.clip(directions @ middle, -1, 1).min())), camera)

    def rim(self) -> Array:
        """Columns and rows of points around the image, ``(n, 2)``, in order."""
        rows, columns = self.shape
        along = np.linspace(-0.5, columns - 0.5, max(2, columns // _RIM_STEP))
        up = np.linspace(-0.5, rows - 0.5, max(2, rows // _RIM_STEP))
        sides = [(along, 0 * along - 0.5), (0 * up + columns - 0.5, up)]
        sides += [(along[::-1], 0 * along + rows - 0.5), (0 * up - 0.5, up[::-1])]
        return np.concatenate([np.stack(side, axis=1) for side in sides])


@dataclass(frozen=True)
class Block:
    """Pixels of a grid, and the columns and rows of an image that they fall on.

    Attributes
    ----------
    index : tuple
        What picks them from the arrays of an extent.
    column, row : ndarray
        0-based, of one shape.
    """

    index: tuple[slice | Array, ...]
    column: Array
    row: Array


class PlaneGrid:
    """A gnomonic grid without end; the tangent point is the middle of pixel (0, 0) unless the camera says otherwise.

    Parameters
    ----------
    camera : ndarray
        ``(3, 3)``.
    """

    def __init__(self, camera: Array) -> None:
        self.camera = camera
        self._inverse = np.linalg.inv(camera)

    def extent_of(self, directions: Array, margin: int = 2) -> Extent:
        """Extent around directions ``(n, 3)``, all in front of the plane."""
        column, row, depth = self.camera @ directions.T
        low = np.floor([(row / depth).min(), (column / depth).min()]).astype(int) - margin
        high = np.ceil([(row / depth).max(), (column / depth).max()]).astype(int) + margin
        return Extent(int(low[0]), int(low[1]), int(high[0] - low[0] + 1), int(high[1] - low[1] + 1))

    def blocks(self, extent: Extent, plane: ImagePlane) -> Iterator[Block]:
        """Blocks of the extent that cover an image."""
        for rows, columns in self._strips(extent, plane):
            grid_row = np.arange(rows.start, rows.stop) + extent.row
            grid_column = np.arange(columns.start, columns.stop) + extent.column
            index = (rows, columns)
            if plane.camera is None:
                yield Block(index, *_by_direction(plane, self._directions(grid_column, grid_row)))
            else:
                yield Block(index, *self._by_projective_map(plane.camera @ self._inverse, grid_column, grid_row))

    def _by_projective_map(self, matrix: Array, column: Array, row: Array) -> tuple[Array, Array]:
        """Nine numbers for all pixels, from the block's first on so that single precision is enough."""
        shift = np.array([[1.0, 0, column[0]], [0, 1.0, row[0]], [0, 0, 1.0]])
        nine = matrix @ shift
        nine = (nine / nine[2, 2] if nine[2, 2] > 0 else nine).astype(np.float32)
        j, i = np.arange(len(column), dtype=np.float32), np.arange(len(row), dtype=np.float32)[:, None]
        x, y, depth = ((a * j + c) + b * i for a, b, c in nine)
        if depth.min() <= 0:
            depth[depth <= 0] = np.nan
        np.reciprocal(depth, out=depth)
        x *= depth
        y *= depth
        return x, y

    def _directions(self, column: Array, row: Array) -> Array:
        j, i = np.meshgrid(column, row)
        vectors = np.stack([j, i, np.ones_like(j)], axis=-1) @ self._inverse.T
        vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
        return vectors

    def _strips(self, extent: Extent, plane: ImagePlane) -> Iterator[tuple[slice, slice]]:
        """Rows by rows, the columns between the sides of the image."""
        outline = self._outline(extent, plane)
        for start in range(0, extent.n_rows, _STRIP):
            stop = min(start + _STRIP, extent.n_rows)
            columns = (0, extent.n_columns) if outline is None else _between_sides(outline, start - 1, stop)
            low, high = max(0, columns[0]), min(extent.n_columns, columns[1])
            if low < high:
                yield slice(start, stop), slice(low, high)

    def _outline(self, extent: Extent, plane: ImagePlane) -> Array | None:
        """Corners of an image in rows and columns of the extent's arrays, ``(4, 2)``; None if one is behind the plane.

        Between two planes straight sides stay straight.
        """
        if plane.camera is None:
            return None
        rows, columns = plane.shape
        corners = [(-0.5, -0.5), (columns - 0.5, -0.5), (columns - 0.5, rows - 0.5), (-0.5, rows - 0.5)]
        directions = np.array([(*corner, 1.0) for corner in corners]) @ np.linalg.inv(plane.camera).T
        column, row, depth = self.camera @ directions.T
        if (depth <= 1e-3 * np.linalg.norm(directions, axis=1)).any():
            return None
        return np.stack([row / depth - extent.row, column / depth - extent.column], axis=1)


class DirectionGrid:
    """A grid of any kind, by the directions of its pixels.

    Parameters
    ----------
    directions : ndarray
        Unit vectors ``(n, 3)``, FK5; NaN for pixels off the sky.
    """

    def __init__(self, directions: Array) -> None:
        self.directions = np.asarray(directions, dtype=np.float32)

    @property
    def extent(self) -> Extent:
        """All of it, as one row."""
        return Extent(0, 0, 1, len(self.directions))

    def blocks(self, extent: Extent, plane: ImagePlane) -> Iterator[Block]:
        """The pixels that an image may cover; the extent is all of the grid."""
        assert extent == self.extent
        near = self.directions @ plane.centre.astype(np.float32) > np.cos(plane.radius) - 1e-5
        chosen = np.flatnonzero(near)
        if not chosen.size:
            return
        vectors = self.directions[chosen]
        index = (np.zeros(1, dtype=int), chosen)
        if plane.camera is None:
            yield Block(index, *_by_direction(plane, vectors))
            return
        x, y, depth = plane.camera.astype(np.float32) @ vectors.T
        depth = np.where(depth > 0, depth, np.nan)
        yield Block(index, x / depth, y / depth)


def _by_direction(plane: ImagePlane, directions: Array) -> tuple[Array, Array]:
    assert plane.to_pixel is not None
    column, row = plane.to_pixel(directions.reshape(-1, 3))
    return column.reshape(directions.shape[:-1]), row.reshape(directions.shape[:-1])


def _between_sides(outline: Array, first: int, last: int) -> tuple[int, int]:
    """First column and the one after the last of a polygon of ``(row, column)`` between two rows."""
    row, column = outline.T
    next_row, next_column = np.roll(row, -1), np.roll(column, -1)
    inside = column[(row >= first) & (row <= last)]
    crossed = [inside]
    for level in (first, last):
        cut = (row - level) * (next_row - level) < 0
        part = (level - row[cut]) / (next_row[cut] - row[cut])
        crossed.append(column[cut] + part * (next_column[cut] - column[cut]))
    found = np.concatenate(crossed)
    return (int(np.floor(found.min())), int(np.ceil(found.max())) + 1) if found.size else (0, 0)
