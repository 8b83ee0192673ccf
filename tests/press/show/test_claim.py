"""A claim on a page: its digest, its line, and what repeats it."""

from press.show import claim

KNOWN = {"a": {"statement": "It\nholds.", "digest": "123456", "docname": "p", "line": 3}}


def test_a_digest_is_about_words():
    """Line breaks change nothing; a word, and the domain, do."""
    first = claim.digest("It holds.", "programs")
    assert claim.digest("It\n holds.", "programs") == first
    assert claim.digest("It held.", "programs") != first
    assert claim.digest("It holds.", "all programs") != first


def test_a_repetition_is_confirmed_by_the_digest_of_its_claim():
    """Another digest, none, and an unknown id are told with what to write."""

    def told(id, digest):
        return claim._unconfirmed({"id": id, "digest": digest}, KNOWN)

    assert told("a", "123456") == ""
    assert told("a", "") == (
        "claim-ref: see that this is no stronger than the claim a, and write a@123456"
    )
    assert told("a", "654321") == (
        "claim-ref: the claim a has changed since this was confirmed; it says now: "
        '"It holds." Read both, and write a@123456'
    )
    assert told("b", "123456") == "claim-ref: no page states the claim b; there are: a"


def test_what_was_tried_is_said_with_its_exceptions():
    """Counts stand with a comma between thousands; what was not tried is told."""
    result = {"held": 4200, "cases": 4218, "noun": "programs", "exceptions": {"two threads": 18}}
    assert claim.sentence(result) == (
        "held for 4,200 of 4,218 programs; exceptions: two threads (18)"
    )
    assert claim.sentence({"key": ""}) == "not tried"
