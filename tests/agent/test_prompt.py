from patchwright.agent.profile import DEVSTRAL, SMALL
from patchwright.agent.prompt import system_message

PUBLISHED = "You are Devstral, at $home.\n"


def test_devstral_is_told_how_to_work_and_then_where() -> None:
    text = system_message(DEVSTRAL, "/home/ada/src").content
    assert text.startswith("You are Patchwright")
    assert text.index("</workflow>") < text.index("The repository is at /home/ada/src.")
    assert text.endswith("</environment>")


def test_the_publishers_words_take_the_place_of_ours_as_they_are() -> None:
    profile = DEVSTRAL.model_copy(update={"published_prompt": PUBLISHED})
    text = system_message(profile, "/work", "Run tox.").content
    how, where = text.split("\n\n<environment>\n")
    assert how == PUBLISHED.strip()
    assert where.startswith("The repository is at /work.")
    assert where.endswith("# Instructions of this project\n\nRun tox.")


def test_a_small_model_is_told_no_more_than_how_to_work() -> None:
    text = system_message(SMALL, "/work").content
    assert "/work" not in text
    assert text.endswith("call finish.")
