"""The report as Markdown: what it states, and that names in it are text."""

from pathlib import Path

from patchwright.evals.report.make import report_on
from patchwright.evals.report.markdown import markdown
from patchwright.evals.report.published import published
from patchwright.evals.report.report import Report

from .runs import attempt, write_run

IDS = ["a__b-1", "a__b-2"]


def test_a_report_of_two_runs_states_rates_intervals_and_the_comparison(tmp_path: Path) -> None:
    one = write_run(
        tmp_path / "one",
        [attempt(name, resolved=True) for name in IDS],
        IDS,
        excluded={"c__d-3": "no numpy"},
        graded_in="docker",
        validated=1,
    )
    two = write_run(tmp_path / "two", [attempt(IDS[0], resolved=True), attempt(IDS[1], resolved=False)], IDS)
    text = markdown(report_on([one, two]))
    assert "| one | quixbugs | tiny | run | 2 of 2 | 100.0 % | 34.2–100.0 % |" in text
    assert "| two | quixbugs | tiny | run | 1 of 2 | 50.0 % | 9.5–90.5 % |" in text
    assert "Instances of quixbugs that count in both runs and are over: 2." in text
    assert "one resolves 1 that two does not; two resolves 0 that one does not; both resolve 1, neither 0." in text
    assert "By the exact McNemar test, two-sided: p = 1.000." in text
    assert "| a__b-2 | 1 of 1 | 0 of 1 |" in text
    assert "| c__d-3 | one | no numpy |" in text
    assert "| one | 2 | 1 of 2 | 1 | 600 s | the official images |" in text
    assert "| two | 2 | – | 1 | 600 s | its own environments |" in text
    assert f"patchwright eval report {tmp_path}/one {tmp_path}/two" in text
    assert "\n    patchwright eval run quixbugs:DIR --out '<two>'\n" in text


def test_a_comparison_of_runs_that_are_not_alike_says_so(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "one", [], IDS, time_limit_s=60), write_run(tmp_path / "two", [], IDS)
    assert "\n**Not alike: time limits differ: 60 s and 600 s.**\n" in markdown(report_on([one, two]))


def test_a_comparison_calls_runs_as_the_tables_do(tmp_path: Path) -> None:
    a, b = (write_run(tmp_path / letter / "run", [attempt(IDS[0], resolved=True)], IDS) for letter in "ab")
    three = report_on([a, b, write_run(tmp_path / "other", [], IDS)])
    assert [(each.first, each.second) for each in three.comparisons] == [
        (str(a.path), str(b.path)),
        (str(a.path), "other"),
        (str(b.path), "other"),
    ]
    assert f"\n## {a.path} against other\n" in markdown(three)


def test_a_run_that_is_not_over_says_so(tmp_path: Path) -> None:
    text = markdown(report_on([write_run(tmp_path / "one", [attempt(IDS[0], resolved=True)], IDS)]))
    assert "**one is not over**: 1 of 2 attempts are." in text
    assert "| a__b-2 | 0 of 1, not over |" in text


def test_pass_at_k_is_stated_where_there_are_several_attempts(tmp_path: Path) -> None:
    both = [attempt(IDS[0], resolved=number == 1, number=number) for number in (1, 2)]
    text = markdown(report_on([write_run(tmp_path / "one", both, IDS[:1], each=2)]))
    assert "| pass@1 | pass@2 |" in text
    assert "| 50.0 % | 100.0 % |" in text


def test_names_are_text(tmp_path: Path) -> None:
    run = write_run(tmp_path / "one", [], IDS, model="<script>|\x1b[2J\u202e`x`")
    assert r"| \<script\>\|\\x1b\[2J\\u202e\`x\` |" in markdown(report_on([run]))


def test_the_command_of_a_run_is_text_on_one_line(tmp_path: Path) -> None:
    command = "patchwright eval run x --only '\x1b[2J\u202e\n\n# Resolved: all\n<script>'"
    text = markdown(report_on([write_run(tmp_path / "one", [], IDS, command=command)]))
    shown = r"patchwright eval run x --only '\x1b[2J\u202e\n\n# Resolved: all\n<script>'"
    assert f"Made by:\n\n    {shown}\n\n" in text
    assert [char for char in text if not (char.isprintable() or char == "\n")] == []


def test_published_results_are_those_of_the_card_and_labelled(tmp_path: Path) -> None:
    table = published()
    rates = {(row.model, row.scaffold): row.resolve_rate for row in table.rows}
    assert rates == {
        ("Devstral Small 1.1", "OpenHands"): 53.6,
        ("Devstral Small 1.0", "OpenHands"): 46.8,
        ("GPT-4.1-mini", "OpenAI's own"): 23.6,
        ("Claude 3.5 Haiku", "Anthropic's own"): 40.6,
        ("SWE-smith-LM 32B", "SWE-agent"): 40.2,
        ("Skywork SWE", "OpenHands"): 38.0,
        ("DeepSWE", "R2E-Gym"): 42.2,
    }
    text = markdown(report_on([write_run(tmp_path / "one", [], IDS)]))
    assert text.count("published, not measured here") == 8
    assert "| Devstral Small 1.1 | OpenHands | 53.6 % | published, not measured here |" in text


def test_a_report_as_json_is_read_back_as_it_was(tmp_path: Path) -> None:
    made = report_on([write_run(tmp_path / "one", [attempt(IDS[0], resolved=True)], IDS)])
    assert Report.model_validate_json(made.model_dump_json()) == made
