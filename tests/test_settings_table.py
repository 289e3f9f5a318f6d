"""The mechanism itself, on a table of its own."""

from __future__ import annotations

import dataclasses

from muttd.settings_table import Reader, Source, group, rows_of, setting
from muttd.settings_values import Secret, Secrets


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kettle:
    """A part."""

    volume_l: float = setting(1.5, "How much it holds.", unit="litres", at_least=0.5, at_most=3)
    whistles: int = setting(1, "How often.")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kitchen:
    """The whole."""

    cups: int = setting(6, "How many.", at_least=1)
    door_key: Secrets = setting((), "Opens the door.", name="MUTTD_DOOR_KEY")
    safe_code: Secret | None = setting(None, "Opens the safe.")
    kettle: Kettle = group(Kettle, "MUTTD_KETTLE_")
    note: str = dataclasses.field(default="no setting")


def test_rows_follow_the_order_of_declaration_and_descend_into_groups() -> None:
    assert [(row.name, row.path) for row in rows_of(Kitchen)] == [
        ("MUTTD_CUPS", ("cups",)),
        ("MUTTD_DOOR_KEY", ("door_key",)),
        ("MUTTD_SAFE_CODE", ("safe_code",)),
        ("MUTTD_KETTLE_VOLUME_L", ("kettle", "volume_l")),
        ("MUTTD_KETTLE_WHISTLES", ("kettle", "whistles")),
    ]


def test_unit_and_bounds_are_said_in_words() -> None:
    by_name = {row.name: row for row in rows_of(Kitchen)}
    assert by_name["MUTTD_KETTLE_VOLUME_L"].bounds == "litres, at least 0.5, at most 3"
    assert by_name["MUTTD_CUPS"].bounds == "at least 1"
    assert by_name["MUTTD_KETTLE_WHISTLES"].bounds == ""


def test_a_secret_has_a_file_and_a_key_has_a_successor() -> None:
    by_name = {row.name: row for row in rows_of(Kitchen)}
    assert by_name["MUTTD_CUPS"].names == ("MUTTD_CUPS",)
    assert by_name["MUTTD_SAFE_CODE"].names == ("MUTTD_SAFE_CODE", "MUTTD_SAFE_CODE_FILE")
    assert by_name["MUTTD_DOOR_KEY"].names == (
        "MUTTD_DOOR_KEY",
        "MUTTD_DOOR_KEY_NEXT",
        "MUTTD_DOOR_KEY_FILE",
        "MUTTD_DOOR_KEY_NEXT_FILE",
    )


def test_both_bounds_are_allowed_and_beyond_them_is_a_mistake() -> None:
    [volume] = [row for row in rows_of(Kitchen) if row.name == "MUTTD_KETTLE_VOLUME_L"]
    for text, value in [("0.5", 0.5), ("3", 3.0), ("0.4", 1.5), ("3.1", 1.5)]:
        assert Reader({volume.name: text}).value_of(volume) == value
    reader = Reader({volume.name: "0.4"})
    reader.value_of(volume)
    assert reader.mistakes == ["MUTTD_KETTLE_VOLUME_L: must be at least 0.5 litres"]


def test_the_source_of_each_value_is_known() -> None:
    reader = Reader({"MUTTD_CUPS": "2"})
    values = {row.name: reader.value_of(row) for row in rows_of(Kitchen)}
    assert values["MUTTD_CUPS"] == 2
    assert reader.sources["MUTTD_CUPS"] is Source.ENVIRONMENT
    assert reader.sources["MUTTD_SAFE_CODE"] is Source.DEFAULT
