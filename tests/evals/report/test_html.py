"""The report as one page: what it states, what it links to, and that names in it are text."""

from pathlib import Path

from patchwright.evals.report.charts import pass_at_curves, resolved_by_time
from patchwright.evals.report.count import count
from patchwright.evals.report.files import write_report
from patchwright.evals.report.html import html
from patchwright.evals.report.make import report_on

from .pages import assert_inert, parsed
from .runs import attempt, write_run
from .trajectories import HOSTILE

IDS = ["a__b-1", "a__b-2", "c__d-3"]


def test_the_page_states_what_the_report_does(tmp_path: Path) -> None:
    one = write_run(
        tmp_path / "one", [attempt(name, resolved=True) for name in IDS], IDS, excluded={"e__f-4": "no wheel"}
    )
    two = write_run(tmp_path / "two", [attempt(name, resolved=name == IDS[0]) for name in IDS[:2]], IDS)
    text = assert_inert(html(report_on([one, two]))).text
    for stated in ("3 of 3", "43.9–100.0 %", "not over: 2 of 3", "no wheel", "p = 1.000", "c/d", "--out '<two>'"):
        assert stated in text
    assert text.count("published, not measured here") == 8


def test_a_comparison_of_runs_that_are_not_alike_says_so(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "one", [], IDS, time_limit_s=60), write_run(tmp_path / "two", [], IDS)
    assert "Not alike: time limits differ: 60 s and 600 s." in assert_inert(html(report_on([one, two]))).text
    assert "Not alike" not in assert_inert(html(report_on([one, one]))).text


def test_runs_of_the_same_name_are_told_apart_by_their_directories(tmp_path: Path) -> None:
    a, b = (write_run(tmp_path / letter / "run", [attempt(IDS[0], resolved=True)], IDS) for letter in "ab")
    text = assert_inert(html(report_on([a, b]))).text
    assert f"{a.path} against {b.path}" in text
    assert f"{a.path} resolves 0 that {b.path} does not" in text


def test_names_and_reasons_are_text(tmp_path: Path) -> None:
    bad = HOSTILE[:300]
    run = write_run(
        tmp_path / "one",
        [attempt(IDS[0], resolved=False, detail=bad, problem=bad)],
        [*IDS, "<svg onload=x>"],
        excluded={bad: bad},
        model=bad,
        benchmark=bad,
    )
    page = assert_inert(html(report_on([run])))
    assert "<svg onload=x>" in page.text
    assert r"access = 'user\u202e" in page.text


def test_each_attempt_that_there_is_has_a_page_to_which_the_report_links(tmp_path: Path) -> None:
    ids = ["a__b-1", "ä b%-2"]
    attempts = [attempt(name, number=number, resolved=True) for name in ids for number in (1, 2)]
    run = write_run(tmp_path / "one", attempts[:3], ids, each=2)
    out = tmp_path / "out"
    written = write_report(out, report_on([run]), [run], ["markdown", "json", "html"])
    assert [path.name for path in written] == ["report.md", "report.json", "report.html"]
    page = assert_inert((out / "report.html").read_text(encoding="utf-8"))
    links = [link for link in page.links if not link.startswith("#")]
    assert len(links) == 3
    assert {out / link for link in links} == set((out / "trajectories").rglob("*.html"))


def test_long_ids_have_pages_under_shorter_names_of_their_own(tmp_path: Path) -> None:
    ids = ["a" * 250, "a" * 249 + "b", "ä" * 120, "a" * 200]
    run = write_run(tmp_path / "one", [attempt(name, resolved=True) for name in ids], ids)
    out = tmp_path / "out"
    write_report(out, report_on([run]), [run], ["html"])
    links = [link for link in parsed((out / "report.html").read_text(encoding="utf-8")).links if "/" in link]
    titles = [parsed((out / link).read_text(encoding="utf-8")).text for link in links]
    assert [name in title for name, title in zip(ids, titles, strict=True)] == [True] * 4
    assert len(set(links)) == 4
    assert links[3] == f"trajectories/1/{'a' * 200}-1.html"


def test_there_are_no_links_to_pages_that_were_not_wanted(tmp_path: Path) -> None:
    run = write_run(tmp_path / "one", [attempt(IDS[0], resolved=True)], IDS)
    write_report(tmp_path / "out", report_on([run]), [run], ["html"], trajectories=False)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.html"]
    assert "trajectories/" not in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_run_without_any_instance_has_a_page_too(tmp_path: Path) -> None:
    assert "0 of 0" in assert_inert(html(report_on([write_run(tmp_path / "one", [], [])]))).text


def test_the_curve_of_time_climbs_at_each_resolved_attempt(tmp_path: Path) -> None:
    attempts = [
        attempt(IDS[0], resolved=True, seconds=10),
        attempt(IDS[1], resolved=True, seconds=30),
        attempt(IDS[2], resolved=False, seconds=50),
    ]
    curves = resolved_by_time([count(write_run(tmp_path / "one", attempts, IDS))])
    assert curves
    assert curves.paths == ("M0,100H20.00V58.33H60.00V16.67H100",)
    assert [(tick.at, tick.label) for tick in curves.x_ticks][::5] == [(0, "0 s"), (100, "50 s")]
    assert [tick.label for tick in curves.y_ticks] == ["0 %", "20 %", "40 %", "60 %", "80 %"]


def test_without_anything_resolved_or_repeated_there_are_no_curves(tmp_path: Path) -> None:
    run = count(write_run(tmp_path / "one", [attempt(IDS[0], resolved=False)], IDS))
    assert resolved_by_time([run]) is None
    assert pass_at_curves([run]) is None


def test_the_curve_of_pass_at_k_goes_from_one_to_all_attempts(tmp_path: Path) -> None:
    attempts = [attempt(IDS[0], number=number, resolved=number == 1) for number in (1, 2)]
    curves = pass_at_curves([count(write_run(tmp_path / "one", attempts, IDS[:1], each=2))])
    assert curves
    assert curves.paths == ("M0.00,50.00 L100.00,0.00",)
