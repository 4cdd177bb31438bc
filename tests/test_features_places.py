"""Regions and distances, against facts from an atlas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.entities import Member, Place
from features.errors import DataError
from features.location import distances_km, haversine_km, locate, member_places, nearest_km
from features.regions import RegionTable

CHANGSHA, BEIJING = (28.2282, 112.9388), (39.9042, 116.4074)


@pytest.fixture(scope="module")
def regions() -> RegionTable:
    return RegionTable.load()


def test_the_whole_table_is_there(regions: RegionTable) -> None:
    assert len(regions) == 3511
    assert "430104" in regions
    assert "430199" not in regions


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("43", "湖南省"),
        ("4301", "长沙市"),
        ("430104", "岳麓区"),
        ("430104001000", "岳麓区"),
        ("430101", "市辖区"),
        ("990000", ""),
    ],
)
def test_names(regions: RegionTable, code: str, name: str) -> None:
    assert regions.name(code) == name


@pytest.mark.parametrize(
    ("code", "levels"),
    [
        ("43", (43, -1, -1, -1)),
        ("430000000000", (43, -1, -1, -1)),
        ("4310", (43, 4310, -1, -1)),
        ("430104", (43, 4301, 430104, -1)),
        ("430104001002", (43, 4301, 430104, 430104001)),
        ("998877", (99, 9988, 998877, -1)),
    ],
)
def test_levels_need_no_row_in_the_table(
    regions: RegionTable, code: str, levels: tuple[int, ...]
) -> None:
    found = regions.levels(code)
    assert found.dtype == np.int32
    assert tuple(found.tolist()) == levels


@pytest.mark.parametrize("code", ["4", "abc", "43０104", "4301041234567", "0431", "43-01", "４３"])
def test_a_code_that_is_none_is_refused(regions: RegionTable, code: str) -> None:
    with pytest.raises(DataError, match="region code"):
        regions.normalise(code)


@given(st.integers(10, 99), st.text("0123456789", max_size=10))
def test_normalising_twice_changes_nothing(province: int, rest: str) -> None:
    regions = RegionTable({})
    once = regions.normalise(f"{province}{rest}")
    assert len(once) == 12
    assert regions.normalise(once) == once
    levels = [level for level in regions.levels(once).tolist() if level >= 0]
    assert levels[0] == province
    assert all(once.startswith(str(level)) for level in levels)


def test_a_code_without_coordinates_has_its_parents(regions: RegionTable) -> None:
    assert regions.centroid("130101") == regions.centroid("1301")
    assert regions.centroid("430104001") == regions.centroid("430104")
    assert regions.centroid("430199") == regions.centroid("4301")
    assert regions.centroid("99") is None


def test_every_code_of_the_table_has_a_middle_inside_china(regions: RegionTable) -> None:
    for code in regions:
        middle = regions.centroid(code)
        assert middle is not None, code
        assert 3 < middle[0] < 54, code
        assert 73 < middle[1] < 136, code


@pytest.mark.parametrize(
    ("a", "b", "km"),
    [
        (CHANGSHA, BEIJING, 1336.0),
        ((31.2304, 121.4737), (22.5431, 114.0579), 1211.0),
        ((0.0, 0.0), (0.0, 180.0), math.pi * 6371.0088),
        ((90.0, 0.0), (-90.0, 77.0), math.pi * 6371.0088),
        (CHANGSHA, CHANGSHA, 0.0),
    ],
)
def test_known_distances(a: tuple[float, float], b: tuple[float, float], km: float) -> None:
    radians = [math.radians(x) for x in (*a, *b)]
    assert haversine_km(*radians) == pytest.approx(km, rel=0.005, abs=1e-6)
    assert haversine_km.py_func(*radians) == pytest.approx(km, rel=0.005, abs=1e-6)


latitudes = st.floats(-math.pi / 2, math.pi / 2)
longitudes = st.floats(-math.pi, math.pi)


@given(latitudes, longitudes, latitudes, longitudes)
def test_distance_is_symmetric_bounded_and_the_same_both_ways_of_computing(
    lat_a: float, lon_a: float, lat_b: float, lon_b: float
) -> None:
    there = haversine_km(lat_a, lon_a, lat_b, lon_b)
    assert there == pytest.approx(haversine_km(lat_b, lon_b, lat_a, lon_a), abs=1e-9)
    assert 0 <= there <= math.pi * 6371.0089
    assert distances_km(lat_a, lon_a, lat_b, lon_b) == pytest.approx(there, rel=1e-6, abs=1e-6)


def test_unknown_coordinates_have_no_distance() -> None:
    assert math.isnan(haversine_km(math.nan, 0.0, 0.0, 0.0))


def test_the_nearest_place_counts() -> None:
    nan = math.nan
    lat = np.radians(np.array([[28.2282, 39.9042, nan, nan], [nan] * 4], np.float32))
    lon = np.radians(np.array([[112.9388, 116.4074, nan, nan], [nan] * 4], np.float32))
    target = (math.radians(39.9), math.radians(116.4))
    near = nearest_km(lat, lon, *target)
    assert near[0] == pytest.approx(0.8, abs=0.1)
    assert np.isnan(near[1])


def test_coordinates_win_over_the_region_and_the_region_helps_out(regions: RegionTable) -> None:
    exact = locate(regions, "430104", 40.0, 100.0)
    assert exact.latitude_rad == pytest.approx(math.radians(40.0))
    assert exact.levels[2] == 430104
    middle = locate(regions, "430104", None, 100.0)
    assert math.degrees(middle.longitude_rad) == pytest.approx(112.93, abs=0.01)
    for unknown in ("", "letters", "99"):
        assert math.isnan(locate(regions, unknown, None, None).latitude_rad)
    assert locate(regions, "letters", 40.0, 100.0).levels == (-1, -1, -1, -1)


def test_home_comes_first_and_empty_or_repeated_places_are_left_out() -> None:
    work, home = Place("WORK", 1.0, 2.0), Place("HOME", region_code="43")
    member = Member("m", places=(work, home, Place("STUDIO"), home))
    assert member_places(member) == [home, work]
    moved = Member("m", region_code="44", places=(work,))
    assert [place.region_code for place in member_places(moved)] == ["44", ""]
