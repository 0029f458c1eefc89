import numpy as np

from patchwright.models.checkpoint.tiny import scripted_checkpoint, tiny_decoder


def test_a_scripted_model_says_its_script_whatever_came_before() -> None:
    script = [4, 9, 1000, 7, 131071, 2]
    tensors = scripted_checkpoint(tiny_decoder(width=128, layers=1), script, seed=0).tensors
    output = tensors["output.weight"].read(0, 131072).astype(np.float32)  # [V, D]
    said = script[:1]
    while said[-1] != script[-1]:
        embedding = tensors["tok_embeddings.weight"].read(said[-1], said[-1] + 1)[0].astype(np.float32)
        said.append(int(np.argmax(output @ embedding)))
    assert said == script
    # No layer adds anything to the embedding of the last token.
    for name in ("layers.0.attention.wo.weight", "layers.0.feed_forward.w2.weight"):
        assert not tensors[name].read(0, 128).any()
