from collections.abc import Iterator
from pathlib import Path

import pytest

from patchwright.repo.index.index import Index
from patchwright.resolve.issue import read_issue
from patchwright.resolve.localise import Spectrum, localise
from patchwright.schema.resolution import Location

FILES = {
    "src/shop/cart.py": '''"""The cart of a customer."""

from shop.prices import total_price

LIMIT = 10

class Cart:
    """Goods that a customer wants."""

    currency = "EUR"

    def add(self, item):
        """Put an item into the cart."""
        self.items.append(item)

    def checkout(self):
        """Pay for the goods, with the voucher discount."""
        return total_price(self.items)
''',
    "src/shop/prices.py": '''"""Prices."""

def total_price(items):
    """The sum, rounded to cents."""
    total = sum(item.price for item in items)
    return round_cents(total)

def round_cents(amount):
    """Round half up."""
    return int(amount * 100) / 100
''',
    "src/shop/report.py": '''"""Reports for accounting."""

def monthly_report(orders):
    """A table of the orders, by month."""
    return [order.month for order in orders]
''',
    "tests/test_cart.py": '''def test_checkout_with_voucher_discount():
    """Pay for the goods, with the voucher discount."""
    assert Cart().checkout() == 0
''',
}


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    for path, text in FILES.items():
        file = tmp_path / "tree" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    with Index(tmp_path / "index") as index:
        index.update(tmp_path / "tree", list(FILES))
        yield index


def located(index: Index, issue: str, spectrum: Spectrum | None = None, limit: int = 10) -> tuple[Location, ...]:
    return localise(read_issue(issue), issue, index, spectrum or {}, limit)


def test_the_place_that_reads_like_the_issue_comes_first(index: Index):
    first = located(index, "The orders in the table are sorted by month wrongly")[0]
    assert first == Location(
        path="src/shop/report.py",
        name="monthly_report",
        kind="function",
        start_line=3,
        end_line=5,
        score=first.score,
        reasons=("reads like the issue", "its file reads like the issue"),
    )


def test_a_function_that_the_issue_names_comes_first(index: Index):
    first = located(index, "Orders: `round_cents` is off by one")[0]
    assert (first.name, first.reasons[0]) == ("round_cents", "named in the issue")


def test_a_method_wins_over_the_class_that_the_issue_names(index: Index):
    names = [each.name for each in located(index, "`Cart` ignores the voucher discount when I pay")]
    assert names[0] == "Cart.checkout"
    assert "Cart" in names[1:]


def test_inner_frames_of_a_traceback_are_stronger(index: Index):
    issue = """It fails
Traceback (most recent call last):
  File "/usr/lib/python3/site-packages/shop/cart.py", line 90, in checkout
    return total_price(self.items)
  File "/usr/lib/python3/site-packages/shop/prices.py", line 70, in total_price
    total = sum(item.price for item in items)
  File "/usr/lib/python3/site-packages/other/prices_of_others.py", line 1, in get
AttributeError: price
"""
    assert [each.name for each in located(index, issue)[:2]] == ["total_price", "Cart.checkout"]


def test_a_file_that_the_issue_names_counts_for_what_is_in_it(index: Index):
    for name in ("shop/prices.py", "`shop.prices`"):
        assert {each.path for each in located(index, f"See {name}", limit=2)} == {"src/shop/prices.py"}


def test_what_the_failing_tests_execute_comes_before_what_reads_like_the_issue(index: Index):
    spectrum = {"src/shop/prices.py": {3: 1.0, 5: 0.5, 6: 0.5, 8: 1.0, 10: 0.9}, "tests/test_cart.py": {3: 1.0}}
    locations = located(index, "The orders in the table are sorted by month wrongly", spectrum)
    assert [(each.name, each.suspicious_lines) for each in locations[:3]] == [
        ("round_cents", (10,)),
        ("total_price", (5, 6)),
        ("monthly_report", ()),
    ]
    assert locations[0].reasons[0] == "executed by what fails"


def test_a_line_counts_for_the_innermost_symbol_and_a_class_body_for_less(index: Index):
    spectrum = {"src/shop/cart.py": {5: 1.0, 7: 1.0, 10: 1.0, 12: 1.0, 14: 1.0}}
    locations = located(index, "zzz", spectrum)
    assert [(each.name, each.suspicious_lines) for each in locations[:3]] == [
        ("Cart.add", (14,)),
        ("Cart", (10,)),
        ("", (5,)),
    ]


def test_neighbours_of_the_best_in_the_call_graph_are_candidates(index: Index):
    reasons = {each.name: each.reasons for each in located(index, "`total_price` is wrong")}
    assert "called by total_price" in reasons["round_cents"]
    assert "calls total_price" in reasons["Cart.checkout"]


def test_no_location_is_in_a_test_file(index: Index):
    locations = located(index, "`test_checkout_with_voucher_discount` in tests/test_cart.py fails", limit=100)
    assert locations
    assert "tests/test_cart.py" not in {each.path for each in locations}


def test_no_more_than_the_limit_in_order_of_score(index: Index):
    locations = located(index, "Cart item price order", limit=3)
    assert len(locations) == 3
    assert [each.score for each in locations] == sorted((each.score for each in locations), reverse=True)


def test_an_issue_that_says_nothing_has_no_location(index: Index):
    assert located(index, "") == located(index, "zzz") == ()
