"""The image networks: shapes and counts as published, what is skipped, what the interleaved layers begin as."""

import pytest

torch = pytest.importorskip("torch")

from lifter.networks.autoencoder import Autoencoder, Encoder  # noqa: E402
from lifter.networks.landmarks import Interleaved, MaximumModule  # noqa: E402

JOINTS = 14


@pytest.fixture(scope="module")
def paper() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder().eval()


def small(size: int = 64) -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(4, size, 9).eval()


def count(net: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def shapes(
    net: torch.nn.Module, names: list[str], *args: torch.Tensor, under: torch.nn.Module
) -> list[tuple[int, ...]]:
    """Of the outputs of the named modules of `under` while `net` runs, batch left out."""
    seen: dict[str, tuple[int, ...]] = {}
    handles = [
        under.get_submodule(name).register_forward_hook(
            lambda _module, _args, out, name=name: seen.__setitem__(name, tuple(out.shape[1:]))
        )
        for name in names
    ]
    with torch.no_grad():
        net(*args)
    for handle in handles:
        handle.remove()
    return [seen[name] for name in names]


# --- 3FabRec's networks (its code: 11,379,491 and 10,868,096 parameters)


def test_encoder_and_decoder_have_as_many_parameters_as_published(paper):
    assert count(paper.encoder) == 11_379_491
    assert count(paper.decoder) == 10_868_096
    assert count(paper.skip1) == count(paper.skip2) == 64 * 64 * 3 * 3


def test_each_layer_has_the_published_shape(paper):
    images = torch.rand(1, 3, 256, 256)
    encoder = ["conv1", "pool", "layer0", "layer1", "layer2", "layer3", "layer4", "code"]
    assert shapes(paper, encoder, images, under=paper.encoder) == [
        (64, 128, 128), (64, 64, 64), (64, 64, 64), (64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (99,)
    ]  # fmt: skip
    decoder = ["first", "layers.0", "layers.1", "layers.2", "layers.3", "layers.4", "last"]
    assert shapes(paper, decoder, images, under=paper.decoder) == [
        (512, 4, 4), (256, 8, 8), (128, 16, 16), (64, 32, 32), (64, 64, 64), (64, 128, 128), (3, 256, 256)
    ]  # fmt: skip


def test_interleaved_layers_have_the_papers_shapes(paper):
    net = Interleaved(paper, JOINTS).eval()
    names = [f"decoded.{i}" for i in range(6)] + ["skipped.0", "skipped.1", "last"]
    assert shapes(net, names, paper, torch.rand(1, 3, 256, 256), under=net) == [
        (512, 4, 4), (256, 8, 8), (128, 16, 16), (64, 32, 32), (64, 64, 64), (64, 128, 128),
        (64, 64, 64), (64, 128, 128), (JOINTS, 256, 256),
    ]  # fmt: skip
    squares = [512, 256, 128, 64, 64, 64, 64, 64]
    assert count(net) == sum(9 * channels**2 for channels in squares) + JOINTS * (64 * 16 + 1)


def test_the_maximum_module_takes_17_channels_and_gives_28_numbers():
    net = MaximumModule(64, JOINTS).eval()
    assert net.encoder.conv1[0].weight.shape == (64, 17, 7, 7)
    assert net.encoder.code.out_features == 28
    extra_inputs = JOINTS * 64 * 7 * 7
    assert count(net) == 11_379_491 + extra_inputs + (28 - 99) * (512 + 1)
    with torch.no_grad():
        found = net(torch.rand(2, 3, 64, 64), torch.rand(2, JOINTS, 64, 64))
    assert found.shape == (2, JOINTS, 2)
    assert bool(((found > 0) & (found < 1)).all())


# --- of any size


@pytest.mark.parametrize("size", [64, 128, 192])
def test_smaller_networks_have_the_same_layers(size):
    net = small(size)
    images = torch.rand(2, 3, size, size)
    for skips in (0, 1, 2):
        made = net(images, skips)
        assert made.shape == images.shape
        assert bool(((made >= 0) & (made <= 1)).all())
    assert Interleaved(net, 5)(net, images).shape == (2, 5, size, size)
    assert [name for name, _ in net.named_parameters()] == [name for name, _ in Autoencoder().named_parameters()]


def test_a_size_that_does_not_halve_six_times_is_refused():
    with pytest.raises(ValueError, match="multiple of 64"):
        Autoencoder(4, 96, 9)


# --- skips


def test_skips_begin_as_nothing_and_then_matter_one_by_one():
    net, images = small(), torch.rand(2, 3, 64, 64)
    plain = net(images, 0)
    assert torch.equal(net(images, 1), plain)
    assert torch.equal(net(images, 2), plain)
    torch.nn.init.normal_(net.skip2.weight, 0, 0.1)
    second = net(images, 1)
    assert not torch.equal(second, plain)
    assert torch.equal(net(images, 2), second)
    torch.nn.init.normal_(net.skip1.weight, 0, 0.1)
    assert not torch.equal(net(images, 2), second)
    assert torch.equal(net(images, 1), second)
    assert torch.equal(net(images, 0), plain)


def test_a_skip_that_is_zero_can_learn():
    net, images = small(), torch.rand(2, 3, 64, 64)
    (net(images, 2) - images).square().mean().backward()
    for skip in (net.skip1, net.skip2):
        assert skip.weight.grad.abs().max() > 0


# --- interleaved layers


def test_interleaved_layers_begin_as_the_identity():
    """With the decoder's own last layer they would give its reconstruction."""
    net, images = small(), torch.rand(2, 3, 64, 64)
    for skip in (net.skip1, net.skip2):
        torch.nn.init.normal_(skip.weight, 0, 0.1)
    interleaved = Interleaved(net, 3)
    with torch.no_grad():
        interleaved.last.weight.copy_(net.decoder.last.weight)
        interleaved.last.bias.zero_()
    made = (torch.tanh(interleaved(net, images)) + 1) / 2
    torch.testing.assert_close(made, net(images, 2))


def test_each_interleaved_layer_is_in_use():
    net, images = small(), torch.rand(2, 3, 64, 64)
    for skip in (net.skip1, net.skip2):
        torch.nn.init.normal_(skip.weight, 0, 0.1)
    interleaved = Interleaved(net, 3)
    interleaved(net, images).square().mean().backward()
    for name, parameter in interleaved.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_encoder_takes_images_in_0_to_1():
    """What it is given lies about zero."""
    net = Encoder(4, 9).eval()
    seen: list[torch.Tensor] = []
    net.conv1[0].register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    net(torch.tensor([0.0, 0.5, 1.0])[:, None, None, None].expand(3, 3, 64, 64))
    assert [float(image.mean()) for image in seen[0]] == [-1, 0, 1]
