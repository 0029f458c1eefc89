import pytest
from pydantic import SecretStr

from patchwright.errors import EngineError
from patchwright.serving.ray_dashboard import RayDashboard
from tests.serving.dashboard import TOKEN, application, dashboard

CONFIG = {"applications": [{"name": "ours"}]}


async def test_a_config_is_deployed_and_waited_for() -> None:
    said: list[str] = []
    waiting = application("DEPLOYING", model="needs a GPU")
    with dashboard({}, {"ours": waiting}, {"ours": waiting}, {"ours": application("RUNNING")}) as served:
        async with RayDashboard.at(served.url, SecretStr(TOKEN)) as ray:
            assert await ray.version() == "2.60.0"
            await ray.deploy(CONFIG)
            await ray.running("ours", 60, said.append)
    assert served.deployed == [CONFIG]
    assert said == ["not started", "deploying: needs a GPU"]


async def test_what_fails_or_takes_too_long_is_told_in_rays_words() -> None:
    failed = application("DEPLOY_FAILED", "no replica could be started", model="ValueError: no such model")
    with dashboard({"ours": failed}) as served:
        async with RayDashboard.at(served.url, SecretStr(TOKEN)) as ray:
            with pytest.raises(EngineError, match="no replica could be started: ValueError: no such model"):
                await ray.running("ours", 60, print)
    with dashboard({"ours": application("DEPLOYING", model="needs a GPU")}) as served:
        async with RayDashboard.at(served.url, SecretStr(TOKEN)) as ray:
            with pytest.raises(EngineError, match="not ready after 0 s: deploying: needs a GPU"):
                await ray.running("ours", 0, print)


async def test_a_config_that_ray_refuses_is_told_in_its_words() -> None:
    with dashboard({}, refusal=(400, "import_path: Field required")) as served:
        async with RayDashboard.at(served.url, SecretStr(TOKEN)) as ray:
            with pytest.raises(EngineError, match="answers 400: import_path: Field required"):
                await ray.deploy(CONFIG)
    with dashboard({}, refusal=(501, "Serve dependencies are not installed")) as served:
        async with RayDashboard.at(served.url, SecretStr(TOKEN)) as ray:
            with pytest.raises(EngineError, match="has no Ray Serve") as caught:
                await ray.deploy(CONFIG)
    assert caught.value.hint == "on its machines: `pip install 'ray[serve]==2.60.0'`"


async def test_a_cluster_that_asks_for_a_token_says_so() -> None:
    with dashboard({}) as served:
        async with RayDashboard.at(served.url) as ray:
            with pytest.raises(EngineError, match="asks for a token"):
                await ray.version()
        async with RayDashboard.at(served.url, SecretStr("another")) as ray:
            with pytest.raises(EngineError, match="refuses the token"):
                await ray.version()
        async with RayDashboard.at(f"{served.url}/v1", SecretStr(TOKEN)) as ray:
            with pytest.raises(EngineError, match="is no dashboard of Ray's"):
                await ray.version()
