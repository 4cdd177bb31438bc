"""The organization tree: each jurisdiction rule on three levels, and against plain Python."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.plain import PlainWorld

from features.entities import Organization
from features.errors import DataError
from recsvc.model.organizations import OrganizationTree, parse_jurisdiction

# province ─ city A ─ counties A1, A2;  city B ─ county B1
PARENTS = {"p": "", "a": "p", "b": "p", "a1": "a", "a2": "a", "b1": "b"}


def tree_of(rules: str) -> OrganizationTree:
    return OrganizationTree(
        Organization(i, parent_id=parent, jurisdiction=rules) for i, parent in PARENTS.items()
    )


def seen_by(tree: OrganizationTree, organization_id: str) -> set[str]:
    """Whose leads its members may see; "" stands for leads without an organization."""
    visible = tree.visible_leads(tree.find(organization_id))
    return {i for i in (*tree.ids, "") if visible[tree.find(i)]}


@pytest.mark.parametrize(
    ("rules", "who", "expected"),
    [
        ("OWN", "a", {"a"}),
        ("PARENTS", "a1", {"a", "p"}),
        ("PARENTS", "p", set()),
        ("CHILDREN", "p", {"a", "b", "a1", "a2", "b1"}),
        ("CHILDREN", "a", {"a1", "a2"}),
        ("CHILDREN", "b1", set()),
        ("NEIGHBOURS", "a1", {"a2"}),
        ("NEIGHBOURS", "a", {"b"}),
        ("NEIGHBOURS", "p", set()),
        ("own; children", "b", {"b", "b1"}),
        ("OWN;PARENTS;CHILDREN;NEIGHBOURS", "a", {"p", "a", "b", "a1", "a2"}),
        ("ANY", "b1", set(PARENTS)),
        ("OWN;ANY", "b1", set(PARENTS)),
        ("", "b1", set(PARENTS)),
        (" ; ", "b1", set(PARENTS)),
    ],
)
def test_each_rule_on_three_levels(rules: str, who: str, expected: set[str]) -> None:
    """A lead without an organization is under nobody's rule, so everybody may see it."""
    assert seen_by(tree_of(rules), who) == expected | {""}


def test_who_belongs_nowhere_sees_everything_and_is_seen_from_both_sides() -> None:
    tree = tree_of("OWN")
    assert tree.visible_leads(-1).all()
    for lead_organization in range(-1, len(tree)):
        by_lead = tree.visible_members(lead_organization)
        for member_organization in range(-1, len(tree)):
            by_member = tree.visible_leads(member_organization)
            assert by_lead[member_organization] == by_member[lead_organization]


@pytest.mark.parametrize("rules", ["PARENTS", "CHILDREN", "NEIGHBOURS", "OWN;PARENTS;CHILDREN"])
def test_a_circle_of_parents_ends(rules: str) -> None:
    circle = {"x": "z", "y": "x", "z": "y", "self": "self"}
    tree = OrganizationTree(
        Organization(i, parent_id=p, jurisdiction=rules) for i, p in circle.items()
    )
    world = PlainWorld(organizations={o.organization_id: o for o in tree.items()})
    for own in circle:
        assert seen_by(tree, own) == {other for other in (*circle, "") if world.sees(own, other)}


IDS = ("a", "b", "c", "d", "e", "unlisted")
organizations = st.builds(
    lambda i, p, rules: Organization(i, parent_id=p, jurisdiction=";".join(rules)),
    st.sampled_from(IDS[:-1]),
    st.sampled_from(("", *IDS)),
    st.lists(st.sampled_from(["OWN", "PARENTS", "CHILDREN", "NEIGHBOURS", "ANY"]), max_size=3),
)


@given(st.lists(st.tuples(organizations, st.booleans()), max_size=12))
def test_any_tree_that_changes_is_read_as_the_rules_say(
    changes: list[tuple[Organization, bool]],
) -> None:
    """Parents may come later than children, or never; deleted ones have no rules any more."""
    tree, world = OrganizationTree(), PlainWorld()
    for organization, deleted in changes:
        if deleted:
            tree.delete(organization.organization_id)
            world.organizations.pop(organization.organization_id, None)
        else:
            tree.put(organization)
            world.organizations[organization.organization_id] = organization
        for own in (*tree.ids, ""):
            expected = {other for other in (*tree.ids, "") if world.sees(own, other)}
            assert seen_by(tree, own) == expected
    assert {o.organization_id for o in tree.items()} == set(world.organizations)


def test_rows_never_move() -> None:
    tree = OrganizationTree([Organization("known")], ids=["named", "known"])
    assert tree.ids == ("named", "known")
    assert (tree.row("named"), tree.row("known"), tree.row("later")) == (0, 1, 2)
    tree.delete("named")
    tree.delete("nobody")
    tree.put(Organization("named", name="新"))
    assert tree.find("named") == 0
    assert len(tree) == 3
    assert tree.row("") == tree.find("") == tree.find("nobody") == -1
    found = tree.get(0)
    assert found is not None
    assert found.name == "新"
    assert tree.get(2) is None
    assert tree.get(-1) is None
    assert tree.get(99) is None
    assert OrganizationTree(tree.items(), tree.ids).ids == tree.ids


def test_a_rule_that_is_none_is_named_with_those_that_are() -> None:
    with pytest.raises(DataError, match=r"'FRIENDS'.*ANY, CHILDREN, NEIGHBOURS, OWN, PARENTS"):
        parse_jurisdiction("OWN;friends")
    with pytest.raises(DataError, match="FRIENDS"):
        OrganizationTree([Organization("x", jurisdiction="friends")])
